"""PokeBNN: half-shifted 1-bit quantizers with a bound.

PokeBNN: A Binary Pursuit of Lightweight Accuracy, Zhang, Zhang, Lew, CVPR 2022,
arXiv:2112.00133, sec. 3.1. We follow the released code (google/aqt) where it
differs from the paper: the gradient window is the bound times 1 - 2^-7, and
weights are scaled by their largest magnitude. The 4- and 8-bit layers use the
grids of `aqt.py`; the layers are in `bnnjax.layers.poke`.
"""

from bnnjax.core.estimator import estimator
from bnnjax.core.method import Preset, method
from bnnjax.methods.aqt import EPS, clip_slope

EDGE = 1 - 2.0**-7  # where a half-shifted grid clips, in units of the bound


@estimator(step=lambda bound: bound / 2)
def half_shift(x, *, scale=1.0):
  """1-bit values in the middle of the two halves of `[-bound, bound]`.

  Forward: `bound (floor(clip(x / bound, +-(1 - 2^-7))) + 1/2)`, which is
  `+-bound / 2` with + at 0. Backward: `dx = dy` where
  `|x| < (1 - 2^-7) bound`, 0 outside, half on the edge; no factor of the bound.

  Args:
    x: latent tensor `[...]`.
    scale: `bound / 2`, broadcasts against `x`.
  """
  return clip_slope(x / (2 * scale + EPS), EDGE).astype(x.dtype)


method(
  "pokebnn",
  paper="PokeBNN, Zhang et al., CVPR 2022",
  arxiv="2112.00133",
  weight=Preset("half_shift|channel_max", (("start", 0.0625),)),
  act="half_shift|fixed(value=3.0)",
)
