"""Binarizers of a parameter of a function."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from bnnjax.convert import function_layers, kernels
from bnnjax.convert.contractions import Contraction
from bnnjax.convert.function_layers import Layer
from bnnjax.convert.kernels import UNSTACKED, Kernel, Step
from bnnjax.convert.rules import Rule
from bnnjax.errors import UserError


def normal(*shape):
  return jax.random.normal(jax.random.key(len(shape)), shape)


def contraction(w, x):
  jaxpr = jax.make_jaxpr(lambda w, x: x @ w)(w, x)
  (use,) = kernels.follow(jaxpr, [Kernel("w"), None])[1]
  return Contraction.of(use)


@pytest.mark.parametrize(
  ("rule", "says"),
  [
    (Rule("bop"), "the weight binarizer 'ste', whose weights have no latent"),
    (Rule("dorefa"), "quantizes gradients ('dorefa_grad(bits=6)')"),
    (Rule("ste", grad="dorefa_grad"), "quantizes gradients ('dorefa_grad')"),
    (Rule("xnor_net_pp"), "scales outputs by 'rank1'"),
    (Rule("ste", output="spatial_l1"), "scales outputs by 'spatial_l1'"),
    (Rule("ste", output="chanel"), "Did you mean 'channel'"),
    (Rule(act="bipft"), "needs the loop event 'init_steps'"),
    (Rule(act="ste|ema_bound"), "nor running statistics"),
  ],
)
def test_what_a_function_does_not_have(rule, says):
  with pytest.raises(UserError) as error:
    Layer.of("w", ".*", rule)
  assert says in str(error.value)
  assert "The rule '.*'" in str(error.value)


def test_running_statistics_are_named():
  layer = Layer.of("w", "head", Rule("ste|channel_l1"))
  function_layers.check_stats("head", layer, {"weight": {}})
  says = (
    "rule 'head' has the weight binarizer 'ste | channel_l1', whose running"
  )
  with pytest.raises(UserError, match=says.replace("|", r"\|")):
    function_layers.check_stats("head", layer, {"weight": {"mean": 0}})


def test_variables():
  layer = Layer.of("w", ".*", Rule("ste|learned", "fda", output="channel"))
  found = layer.variables()
  assert found.learned.keys() == {"weight", "output"}
  assert set(found.training_only["act"]) == {"noise_in", "noise_out"}
  assert not any(found.stats.values())
  grouped = Layer.of("w", ".*", Rule("ste|group_l1(size=4)")).variables()
  assert not grouped.learned


def test_each_kernel_of_a_batch_is_a_layer():
  """Also with scales that are one number, which `vmap` turns into `[E]`."""
  w, x = normal(3, 4, 5), normal(3, 2, 4)
  for spec in ("ste|channel_l1", "ste|tensor_l1", "ste|fixed(value=2.0)"):
    layer = Layer.of("w", ".*", Rule(spec, "ste|tensor_l1", "channel"))
    op = contraction(w, x)
    learned = {"output": {"scale": jnp.arange(15.0).reshape(3, 5)}}
    y = layer.contract(op, x, w, learned, None)
    for e in range(3):
      one = contraction(w[e], x[e])
      factor = {"output": {"scale": learned["output"]["scale"][e]}}
      wanted = layer.contract(one, x[e], w[e], factor, None)
      np.testing.assert_allclose(y[e], wanted, rtol=1e-5)


def test_kernels_of_a_stack():
  """`[L, O, I]`, transposed in each step of a scan."""
  transpose = jax.make_jaxpr(jnp.transpose)(normal(5, 4)).eqns[0]
  steps = (UNSTACKED, Step(transpose.primitive, transpose.params))
  op = contraction(normal(4, 5), normal(2, 4))
  layer = Layer.of("w", ".*", Rule("ste|learned"))
  w = normal(3, 5, 4)
  found = function_layers.per_kernel(
    lambda w, key: layer.init(w, 4, key).learned,
    steps,
    op,
    w,
    jax.random.key(0),
  )
  wanted = jnp.mean(jnp.abs(w), axis=2)[:, None]
  np.testing.assert_allclose(found["weight"]["scale"], wanted, rtol=1e-6)
