import jax.numpy as jnp
import numpy as np
import pytest

from bnnjax.core import registry

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
