import jax
import jax.numpy as jnp
import numpy as np
import pytest

from bnnjax.core.binarizer import Binarizer
from bnnjax.core.progress import Mode, Progress
from bnnjax.core.spec import parse
from bnnjax.methods.ste import ste

X = jnp.array([[0.5, -2.0], [1.5, 1.0]])


def test_spec_string():
  made = parse(
    "center > ste(clip=1.25, strict=True) | channel_l1(pow2=True)", "act"
  )
  assert made.transform.name == "center"
  assert dict(made.estimator_hp) == {"clip": 1.25, "strict": True}
  assert made.scale.name == "channel_l1"
  assert dict(made.scale_hp) == {"pow2": True}
  assert made.role == "act"
  assert made.kind.bits == 1
  assert hash(made) == hash(
    parse("center > ste(clip=1.25, strict=True)|channel_l1(pow2=True)", "act")
  )


def test_float_and_objects():
  assert parse(None, "weight") is None
  assert parse("float", "weight") is None
  assert parse(Binarizer(ste, role="act"), "weight").role == "weight"


def test_options_override_the_preset():
  assert parse("pokebnn", "weight").start == 0.0625
  assert parse("pokebnn", "weight", start=7).start == 7


@pytest.mark.parametrize(
  ("spec", "message"),
  [
    ("stee", "Unknown estimator 'stee'. Did you mean 'ste'?"),
    ("ste|chanel_l1", "Unknown scale 'chanel_l1'. Did you mean 'channel_l1'?"),
    ("centre > ste", "Unknown transform 'centre'. Did you mean 'center'?"),
    ("ste(clp=1)", "hyper-parameter of estimator 'ste' 'clp'. Did you mean 'clip'"),
    ("ste|channel_l1(pow=1)", "hyper-parameter of scale 'channel_l1' 'pow'. Did you mean 'pow2'"),
    ("symmetric(bits=9)", "must be a whole number from 2 to 8, got 9"),
    ("ste(1.0)", "they are keyword=literal"),
    ("ste(clip=x)", "they are keyword=literal"),
    ("ste)", "Cannot read 'ste\\)'"),
    ("|channel_l1", "names no estimator"),
  ],
)  # fmt: skip
def test_bad_specs(spec, message):
  with pytest.raises(ValueError, match=message):
    parse(spec, "weight")


def test_scale_sees_the_latent_or_the_transformed_tensor():
  spec = "center > ste | tensor_l1"
  transformed = parse(spec, "weight").apply(X)[0].terms[0].scale
  latent = parse(spec, "weight", measure="latent").apply(X)[0].terms[0].scale
  np.testing.assert_allclose(latent, [[1.25]])
  np.testing.assert_allclose(transformed, [[1.0]])


def test_start_is_float_before_and_binary_after():
  made = parse("ste|channel_max", "weight", start=0.5)

  @jax.jit
  def value_and_slope(step):
    mode = Mode.training(Progress.at(step, 10, 1.0))
    y, vjp = jax.vjp(lambda x: made(x, mode), X)
    return y, vjp(jnp.ones_like(X))[0]

  before, before_slope = value_and_slope(4)
  np.testing.assert_allclose(before, X)
  np.testing.assert_allclose(before_slope, np.ones_like(X))
  after, after_slope = value_and_slope(5)
  np.testing.assert_allclose(after, [[1.5, -2], [1.5, 2]])
  np.testing.assert_allclose(after_slope, [[1, 0], [0, 1]])
  np.testing.assert_allclose(made(X), after)  # deployed: always


def test_start_needs_to_know_the_progress():
  made = parse("ste", "weight", start=0.5)
  with pytest.raises(ValueError, match=r"needs `Mode.training\(progress\)`"):
    made(X, Mode.training())


def test_tag_can_be_left_out():
  text = str(jax.make_jaxpr(parse("ste", "act", tag=False))(X))
  assert "bit_tag" not in text
  assert "bit_tag" in str(jax.make_jaxpr(parse("ste", "act"))(X))


@pytest.mark.parametrize(
  ("gradient", "want"),
  [("none", [1, 0]), ("multiply", [0.3, 0]), ("full", [1.3, 1])],
)
def test_a_surrogate_sees_the_true_scale(gradient, want):
  """s = .3 is the window: dw = slope, s slope, s slope + sum(sign) ds/dw."""
  made = parse("elastic|channel_l1", "weight", gradient=gradient)
  w = jnp.array([[0.1], [0.5]])
  dw = jax.grad(lambda w: made(w).sum())(w)
  np.testing.assert_allclose(dw.ravel(), want, rtol=1e-6)


@pytest.mark.parametrize(
  ("name", "values", "slope"),
  [("elastic_cut", [1, 1, 1], [1, 0, 0]), ("elastic", [1, 1, 1], [1, 0, 0])],
)
def test_a_learned_scale_of_a_grid_that_depends_on_it(name, values, slope):
  """y = s v(x / s): ds = sum v, dx = s 1[|x / s| <= 1], here s = .2."""
  made = parse(f"{name}|learned(axes='tensor', init=0.2)", "act")
  x = jnp.array([[0.15, 0.35, 0.9]])
  params, stats = made.init(jax.ShapeDtypeStruct((1, 3), jnp.float32))

  def apply(params, x):
    return made.apply(x, params, stats)[0]

  q = apply(params, x)
  np.testing.assert_allclose(q.dequantize()[0], 0.2 * np.array(values))
  np.testing.assert_allclose(q.surrogate, q.dequantize())
  total = lambda params, x: apply(params, x).dequantize().sum()  # noqa: E731
  dparams, dx = jax.grad(total, (0, 1))(params, x)
  np.testing.assert_allclose(dparams["scale"], [[3.0]])
  np.testing.assert_allclose(dx[0], 0.2 * np.array(slope), rtol=1e-6)


def test_integers_are_binarized_as_floats():
  got = parse("ste|fixed(value=0.5)", "act")(jnp.array([3, -2, 0]))
  assert got.dtype == jnp.float32
  np.testing.assert_array_equal(got, [0.5, -0.5, 0.5])


@pytest.mark.parametrize(
  ("spec", "want"),
  [
    ("ste", [-1, 1]),
    ("absmean", [-1, 0, 1]),
    ("absmax(bits=3)", range(-4, 4)),
    ("symmetric(bits=3)", range(-3, 4)),
    ("unsigned(bits=3)", range(8)),
    ("dorefa_act(bits=2)", range(4)),
    ("dorefa_weight(bits=2)", (-3, -1, 1, 3)),
  ],
)
def test_the_declared_grid_holds_what_comes_out(spec, want):
  made = parse(spec, "act")
  assert list(made.grid) == list(want)
  x = jnp.linspace(-1, 1, 101)
  scale = 1 / max(map(abs, want)) if made.estimator.step else 1.0
  hp = dict(made.estimator_hp)
  values = made.estimator.value(x, scale, **hp)
  assert set(np.unique(values)) <= set(want)


def test_old_names_warn():
  made = parse("ste", "act")
  for old, want in (
    ("learns", frozenset()),
    ("passing", made.training_only_names),
  ):
    with pytest.warns(DeprecationWarning, match=f"Binarizer.{old} is now"):
      assert getattr(made, old) == want
