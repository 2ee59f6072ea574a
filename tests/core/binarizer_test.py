import jax
import jax.numpy as jnp
import numpy as np
import pytest

from bnnjax.core.binarizer import Binarizer
from bnnjax.core.parse import parse
from bnnjax.core.progress import Mode, Progress
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


def test_bad_options():
  with pytest.raises(ValueError, match="Unknown scale gradient 'non'"):
    parse("ste", "weight", gradient="non")
  with pytest.raises(ValueError, match="Unknown measure 'latnt'. Did you mean"):
    parse("ste", "weight", measure="latnt")
  with pytest.raises(TypeError, match="got 3"):
    parse(3, "weight")


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
