"""BNN: signs with the straight-through gradient.

Binarized Neural Networks, Courbariaux, Hubara, Soudry, El-Yaniv, Bengio 2016,
arXiv:1602.02830, sec. 1.3. No scale: batch normalization absorbs it.
"""

import jax.numpy as jnp

from bnnjax.core.estimator import estimator
from bnnjax.core.hyper import Real
from bnnjax.core.method import method

WINDOW = Real(0, above=True, none=True)


@estimator()
def ste(x, *, clip: WINDOW = 1.0, strict: bool = False):
  """Sign with a clipped identity as surrogate.

  Forward: `sign(x)`, sign(0) = +1. Backward: `dx = dy 1[|x| <= clip]`.

  Args:
    x: latent tensor `[...]`.
    clip: half-width of the window; `None` is the plain identity (weights of
      BiPer and ReCU).
    strict: `|x| < clip` instead. Implementations differ: larq and the clamp
      trick include the edge, XNOR-Net-PyTorch excludes it.
  """
  if clip is None:
    return jnp.ones_like(x)
  inside = jnp.abs(x) < clip if strict else jnp.abs(x) <= clip
  return inside.astype(x.dtype)


method(
  "ste",
  paper="Binarized Neural Networks, Courbariaux et al. 2016",
  arxiv="1602.02830",
  weight="ste",
  act="ste",
)
