"""The step of Differentiable Binarization against the released decoder."""

import jax
import jax.numpy as jnp
import numpy as np

from bnnjax.core.progress import Mode, Progress
from bnnjax.core.spec import parse
from bnnjax.methods.differentiable_binarization import db_step
from tests import golden_cases


@golden_cases.parametrize("db.npz", "step", separator="_")
def test_step(case):
  k = case.hyper("k", r"step([\d.]+)")
  apply = lambda p, t: db_step(p - t, k=k, soft=1.0)  # noqa: E731
  b, vjp = jax.vjp(apply, jnp.asarray(case["P"]), jnp.asarray(case["T"]))
  dp, dt = vjp(jnp.asarray(case["gB"]))
  golden_cases.check(b, case["B"], 1e-5, "B")
  golden_cases.check(dp, case["gP"], 2e-5, "gP")
  golden_cases.check(dt, case["gT"], 2e-5, "gT")


def test_training_is_soft_and_the_deployed_network_steps():
  made = parse("differentiable_binarization", "act")
  x = jnp.array([[-0.1, 0.0, 0.01]])
  params, stats = made.init(jax.ShapeDtypeStruct((1, 3), jnp.float32))
  run = lambda mode: made.apply(x, params, stats, mode)[0].dequantize()  # noqa: E731
  soft = run(Mode.training(Progress.at(9, 10, 1.0)))
  np.testing.assert_allclose(soft, 1 / (1 + np.exp(-50 * x)), rtol=1e-5)
  np.testing.assert_array_equal(run(Mode()), [[0, 1, 1]])
