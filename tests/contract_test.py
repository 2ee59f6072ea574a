"""What every registered estimator, scale, transform and method has to keep.

Iterates over the registry: a new method is tested by existing. The checks are
those of `bx.check`.
"""

import pathlib

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from flax import nnx

import bnnjax as bx
import bnnjax.methods
from bnnjax.core import bits, registry
from bnnjax.core.estimator import SIGN
from bnnjax.core.progress import Mode, Progress
from bnnjax.core.spec import parse
from bnnjax.layers.linear import Linear

ESTIMATORS = registry.registered("estimator")
SIGNS = registry.registered("estimator", alphabet=SIGN)
METHODS = registry.registered("method")
PRESETS = [
  pytest.param(method, role, id=f"{method}-{role}")
  for method in METHODS
  for role in bits.ROLES
  if getattr(registry.get("method", method), role).spec is not None
]
POINTS = jnp.array(
  [-1e4, -3.0, -1.0, -0.3, -1e-6, 0.0, 1e-6, 0.3, 1.0, 3.0, 1e4]
)
X = jnp.concatenate([POINTS, jax.random.normal(jax.random.key(0), (53,))])


def estimator(name):
  return registry.get("estimator", name)


@pytest.mark.parametrize("name", ESTIMATORS)
def test_estimators(name):
  bx.check(estimator(name)).raise_if_failed()


@pytest.mark.parametrize(
  ("method", "role"),
  {parse(*preset.values): preset for preset in reversed(PRESETS)}.values(),
)
def test_presets(method, role):
  """Each once: several methods share a preset."""
  bx.check(method, role=role).raise_if_failed()


@pytest.mark.parametrize("name", SIGNS)
@pytest.mark.parametrize("at_zero", [-1, 0, 1])
def test_sign_of_zero_can_be_chosen(name, at_zero):
  x = jnp.array([-0.5, 0.0, 0.5])
  got = estimator(name).value(x, at_zero=at_zero)
  assert got[1] == at_zero
  np.testing.assert_array_equal(got, estimator(name)(x, at_zero=at_zero))


@pytest.mark.parametrize(("method", "role"), PRESETS)
def test_presets_tag_their_values(method, role):
  made = parse(method, role)
  x = X.reshape(8, -1)
  jaxpr = jax.make_jaxpr(lambda x: made.apply(x, *made.init(x))[0])(x)
  tags = [e for e in jaxpr.eqns if e.primitive is bits.tag_p]
  assert [t.params["role"] for t in tags] == [role]
  assert tags[0].params["terms"] == (made.kind,)


@pytest.mark.parametrize(("method", "role"), PRESETS)
def test_annealed_presets_need_a_progress_only_in_training(method, role):
  made = parse(method, role)
  if not made.annealed:
    pytest.skip("no schedule")
  x = X.reshape(8, -1)
  made(x)
  with pytest.raises(ValueError, match=r"training needs `Mode\.training"):
    made(x, Mode.training())


@pytest.mark.parametrize("method", METHODS)
def test_twenty_adam_steps_lower_a_loss(method):
  x = jax.random.normal(jax.random.key(1), (64, 16))
  label = (x[:, :4].sum(-1) > 0).astype(int)
  layer = Linear(16, 2, weight=method, act=method, rngs=nnx.Rngs(0))
  graphdef, params, rest = nnx.split(layer, nnx.Param, ...)
  params, rest = nnx.to_pure_dict(params), nnx.to_pure_dict(rest)
  optimizer = optax.adam(0.02)

  @jax.jit
  def step(params, opt, now):
    def loss(params):
      mode = Mode.training(Progress.at(now, 20, 1.0))
      logits = nnx.merge(graphdef, params, rest)(x, mode) / 4
      return optax.softmax_cross_entropy_with_integer_labels(
        logits, label
      ).mean()

    value, grads = jax.value_and_grad(loss)(params)
    updates, opt = optimizer.update(grads, opt, params)
    return optax.apply_updates(params, updates), opt, value

  opt, losses = optimizer.init(params), []
  for now in range(20):
    params, opt, value = step(params, opt, now)
    losses.append(float(value))
  # Judged after the start of quantization, so that like is compared with like.
  assert np.mean(losses[-3:]) < np.mean(losses[2:5])


@pytest.mark.parametrize(
  "kind",
  [
    "estimator",
    "scale",
    "transform",
    "schedule",
    "output",
    "grad",
    "projection",
  ],
)
def test_every_name_is_documented(kind):
  for name in registry.registered(kind):
    assert registry.get(kind, name).__doc__, name


def test_every_method_file_has_a_test_file():
  here = pathlib.Path(__file__).parent / "methods"
  for path in bnnjax.methods.__path__:
    for file in pathlib.Path(path).glob("[!_]*.py"):
      assert (here / f"{file.stem}_test.py").exists(), file.name
