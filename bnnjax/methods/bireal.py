"""Bi-Real Net: a triangular gradient for the sign of activations.

Bi-Real Net: Enhancing the Performance of 1-bit CNNs, Liu et al., ECCV 2018,
arXiv:1808.00278. As in the released PyTorch code, the scale of the weights does
not affect their gradient. In the paper's magnitude-aware gradient (and larq's
MagnitudeAwareSign) it does: `gradient="multiply"`. The identity shortcut around
each convolution belongs to the network.
"""

import jax.numpy as jnp

from bnnjax.core.estimator import estimator
from bnnjax.core.method import method


@estimator()
def approx_sign(x):
  """Sign with the derivative of a piecewise quadratic (eq. 6 and 7).

  Forward: `sign(x)`. Backward: `dx = dy max(0, 2 - 2|x|)`, the derivative of
  `2x + x^2` on [-1, 0) and `2x - x^2` on [0, 1).

  Args:
    x: latent tensor `[...]`.
  """
  return jnp.maximum(2 - 2 * jnp.abs(x), 0)


method(
  "bireal",
  paper="Bi-Real Net, Liu et al., ECCV 2018",
  arxiv="1808.00278",
  weight="ste|channel_l1",
  act="approx_sign",
)
