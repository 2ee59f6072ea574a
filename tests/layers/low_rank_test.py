"""BiPFT's low-rank estimate against numpy."""

import numpy as np

from bnnjax.layers.low_rank import LowRankEstimator
from tests.filled_models import filled


def test_scores_and_values():
  layer = filled(lambda rngs: LowRankEstimator(4, 2, rngs=rngs))
  x = np.random.default_rng(1).normal(size=(2, 3, 4)).astype(np.float32)

  def project(name):
    linear = getattr(layer, name)
    return x @ np.asarray(linear.kernel[...]) + np.asarray(linear.bias[...])

  q, k, dq, dk = map(
    project, ("query_minus", "key_minus", "query_plus", "key_plus")
  )
  # (q + dq) (k + dk)^T without q k^T, the product of the binary attention.
  want = (q + dq) @ np.swapaxes(k + dk, 1, 2) - q @ np.swapaxes(k, 1, 2)
  np.testing.assert_allclose(layer.scores(x)[:, 0], want, rtol=1e-4, atol=1e-5)
  values = project("value_plus")[..., 0]
  np.testing.assert_allclose(layer.values(x), values, rtol=1e-5, atol=1e-6)
