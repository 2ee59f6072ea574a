"""What every registered estimator, scale, transform and method has to keep.

Iterates over the registry: a new method is tested by existing.
"""

import pathlib

import chex
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from flax import nnx

import bnnjax.methods
from bnnjax.core import bits, registry
from bnnjax.core.estimator import SIGN
from bnnjax.core.progress import DEPLOYED, Mode, Progress
from bnnjax.core.schedule import Annealed
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
def test_values_stay_in_the_alphabet(name):
  est = estimator(name)
  values = np.unique(est.value(X))
  if est.alphabet is not None:
    assert set(values) <= set(est.alphabet)
    assert len(values) > 1, "the points hold both signs"
  else:
    assert len(values) <= 2 ** est.width(est.hyper())
    np.testing.assert_array_equal(values, np.round(values))


@pytest.mark.parametrize("name", SIGNS)
@pytest.mark.parametrize("dtype", [jnp.float32, jnp.bfloat16])
def test_sign_of_zero_is_plus_one(name, dtype):
  zeros = jnp.array([0.0, -0.0], dtype)
  np.testing.assert_array_equal(estimator(name).value(zeros), [1, 1])


@pytest.mark.parametrize("name", SIGNS)
@pytest.mark.parametrize("at_zero", [-1, 0, 1])
def test_sign_of_zero_can_be_chosen(name, at_zero):
  x = jnp.array([-0.5, 0.0, 0.5])
  got = estimator(name).value(x, at_zero=at_zero)
  assert got[1] == at_zero
  np.testing.assert_array_equal(got, estimator(name)(x, at_zero=at_zero))


@pytest.mark.parametrize("name", ESTIMATORS)
@pytest.mark.parametrize("dtype", [jnp.float32, jnp.bfloat16])
def test_shape_and_dtype_are_kept(name, dtype):
  x = X.astype(dtype).reshape(4, -1)
  y, vjp = jax.vjp(estimator(name), x)
  for got in (y, vjp(y)[0]):
    chex.assert_shape(got, x.shape)
    assert got.dtype == dtype


@pytest.mark.parametrize("name", ESTIMATORS)
def test_gradient_is_finite_everywhere(name):
  extreme = jnp.array([0.0, 1e-30, -1e-30, 1e30, -1e30, 88.0, -88.0])
  grad = jax.grad(lambda x: estimator(name)(x).sum())(extreme)
  assert np.all(np.isfinite(grad))


@pytest.mark.parametrize("name", ESTIMATORS)
def test_jit_and_vmap_equal_eager(name):
  est, x = estimator(name), X.reshape(4, -1)

  def both(x):
    y, vjp = jax.vjp(est, x)
    return y, vjp(jnp.ones_like(y))[0]

  for got in (jax.jit(both)(x), jax.vmap(both)(x)):
    chex.assert_trees_all_close(got, both(x), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("name", ESTIMATORS)
def test_no_retrace_when_a_hyper_parameter_changes(name):
  est = estimator(name)
  floats = {k: v for k, v in est.defaults.items() if isinstance(v, float)}
  if not floats:
    pytest.skip("no float hyper-parameter")

  traces = []

  @jax.jit
  def grad(x, hp):
    traces.append(1)
    return jax.grad(lambda x: est(x, **hp).sum())(x)

  for factor in (1.0, 0.5, 2.0):
    grad(X, {k: v * factor for k, v in floats.items()})
  assert len(traces) == 1


@pytest.mark.parametrize(("method", "role"), PRESETS)
def test_presets_tag_their_values(method, role):
  made = parse(method, role)
  x = X.reshape(8, -1)
  jaxpr = jax.make_jaxpr(lambda x: made.apply(x, *made.init(x))[0])(x)
  tags = [e for e in jaxpr.eqns if e.primitive is bits.tag_p]
  assert [t.params["role"] for t in tags] == [role]
  assert tags[0].params["terms"] == (made.kind,)


@pytest.mark.parametrize(("method", "role"), PRESETS)
def test_presets_hold_their_alphabet_when_deployed(method, role):
  made = parse(method, role)
  if made.kind.alphabet is None:
    pytest.skip("a grid of several bits")
  x = X.reshape(8, -1)
  quantized, _ = made.apply(x, *made.init(x), DEPLOYED)
  for term in quantized.terms:
    assert set(np.unique(term.value)) <= set(made.kind.alphabet)


def annealed(made):
  """Whether a schedule stands in some place of a binarizer."""
  pairs = (*made.estimator_hp, *made.scale_hp, *made.transform_hp)
  return any(isinstance(value, Annealed) for _, value in pairs)


def training_run(made, x, steps):
  """Gradients at some steps of a run of ten, and how often it was traced."""
  traces, params, stats = [], *made.init(x)

  @jax.jit
  def grad(x, params, progress):
    traces.append(1)
    weight = jnp.cos(jnp.arange(x.size).reshape(x.shape))

    def apply(x, params):
      mode = Mode.training(progress)
      return (made.apply(x, params, stats, mode)[0].dequantize() * weight).sum()

    return jax.grad(apply, argnums=(0, 1))(x, params)

  return [grad(x, params, Progress.at(s, 10, 5.0)) for s in steps], len(traces)


@pytest.mark.parametrize(("method", "role"), PRESETS)
@pytest.mark.parametrize("dtype", [jnp.float32, jnp.bfloat16])
def test_gradients_follow_the_run_without_a_retrace(method, role, dtype):
  made = parse(method, role)
  x = X.reshape(8, -1).astype(dtype)
  grads, traces = training_run(made, x, (0, 5, 9))
  assert traces == 1
  for grad in grads:
    assert all(np.all(np.isfinite(g)) for g in jax.tree.leaves(grad))
    assert grad[0].dtype == dtype
  if annealed(made) and dtype == jnp.float32 and not ends_late(made):
    first, last = np.asarray(grads[0][0]), np.asarray(grads[-1][0])
    assert not np.allclose(first, last), "the schedule changes nothing"


def ends_late(made):
  """Whether a schedule changes the forward pass alone."""
  return made.estimator.name in ("biper", "db_step")


@pytest.mark.parametrize(("method", "role"), PRESETS)
def test_annealed_presets_need_a_progress_only_in_training(method, role):
  made = parse(method, role)
  if not annealed(made):
    pytest.skip("no schedule")
  x = X.reshape(8, -1)
  made(x)
  with pytest.raises(ValueError, match=r"training needs `Mode\.training"):
    made(x, Mode.training())


@pytest.mark.parametrize(("method", "role"), PRESETS)
def test_specs_combine(method, role):
  """The estimator of every preset works behind a transform, with a scale."""
  name = parse(method, role).estimator.name
  made = parse(f"center > {name}|channel_l1", role)
  x = X[:32].reshape(8, -1)
  y, vjp = jax.vjp(lambda x: made(x), x)
  assert y.shape == x.shape
  assert np.all(np.isfinite(vjp(y)[0]))


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
