import jax
import jax.numpy as jnp
import numpy as np
import pytest

from bnnjax.core import registry
from bnnjax.core.spec import parse

W = np.random.default_rng(0).normal(size=(3, 3, 4, 6)).astype(np.float32)


@pytest.mark.parametrize(("how", "reduce"), [("l1", np.mean), ("max", np.max)])
@pytest.mark.parametrize(
  ("axes", "over"), [("tensor", (0, 1, 2, 3)), ("channel", (0, 1, 2))]
)
def test_measures(how, reduce, axes, over):
  scale = registry.get("scale", f"{axes}_{how}")
  got = scale.measure(jnp.asarray(W), {}, {}, None).scale
  np.testing.assert_allclose(
    got, reduce(np.abs(W), over, keepdims=True), rtol=1e-5
  )


def test_mean_is_the_best_scale_of_the_signs():
  """argmin_s ||w - s sign(w)||^2, by least squares."""
  w = W.reshape(-1, 6)
  got = registry.get("scale", "channel_l1").measure(
    jnp.asarray(w), {}, {}, None
  )
  best = [np.linalg.lstsq(np.sign(c)[:, None], c)[0][0] for c in w.T]
  np.testing.assert_allclose(got.scale[0], best, rtol=1e-5)


@pytest.mark.parametrize(
  ("how", "want"), [("l1", [[0.5, 4.0, 0.0]]), ("max", [[0.5, 8.0, 0.0]])]
)
def test_power_of_two(how, want):
  w = jnp.array([[0.5, 5.0, 0.0], [-0.4, 3.0, 0.0]])
  measure = registry.get("scale", f"channel_{how}").measure
  np.testing.assert_array_equal(measure(w, {}, {}, None, pow2=True).scale, want)


def test_learned_starts_from_the_weights_or_a_number():
  for axes, shape in (("channel", (1, 1, 1, 6)), ("input", (1, 1, 4, 1))):
    params, _ = parse(f"ste|learned(axes='{axes}')", "weight").init(
      jnp.asarray(W)
    )
    assert params["scale"].shape == shape
  made = parse("ste|learned(init=2.0)", "act")
  params, _ = made.init(jax.ShapeDtypeStruct((1, 1, 6), jnp.float32))
  np.testing.assert_array_equal(params["scale"], np.full((1, 1, 6), 2.0))


def test_learned_errors():
  with pytest.raises(
    ValueError, match="`axes` of scale 'learned'.*Did you mean 'channel'"
  ):
    parse("ste|learned(axes='chanel')", "weight")
  with pytest.raises(ValueError, match="give a number"):
    parse("ste|learned", "act").init(jax.ShapeDtypeStruct((1, 6), jnp.float32))
