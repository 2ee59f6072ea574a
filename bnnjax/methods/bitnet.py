"""BitNet and BitNet b1.58: 1-bit and ternary weights, 8-bit activations.

BitNet: Scaling 1-bit Transformers for Large Language Models, Wang et al. 2023,
arXiv:2310.11453; The Era of 1-bit LLMs: All Large Language Models are in 1.58
Bits, Ma et al. 2024, arXiv:2402.17764. Rounding and sign pass the gradient
unchanged. BitNet centres a weight before the sign and scales by `mean |w|` of
the uncentred one; in its paper sign(0) is -1 (`at_zero=-1`), here +1.
Activations have one scale per token, as at inference (BitNet trains with one
per tensor: `tensor_max`). The norm inside BitLinear (SubLN) is not part of the
binarizers: our decoder normalizes before each branch alone.
"""

import jax.numpy as jnp

from bnnjax.core.estimator import estimator
from bnnjax.core.hyper import Whole
from bnnjax.core.method import Preset, method

FLOOR = 1e-5  # least magnitude for a scale, as released


def _ternary(x, *, scale):
  return jnp.clip(jnp.round(x / scale), -1, 1)


@estimator(
  alphabet=(-1, 0, 1),
  bits=2,
  forward=_ternary,
  step=lambda mean: jnp.maximum(mean, FLOOR),
)
def absmean(x):
  """Ternary weights (b1.58, eq. 1 to 3).

  Forward: `s clip(round(x / s), -1, 1)` with `s = mean |x|`, halves to even.
  Backward: `dx = dy`.

  Args:
    x: latent weights `[...]`.
  """
  return jnp.ones_like(x)


def _integer(x, *, scale, bits):
  top = 2 ** (bits - 1)
  return jnp.clip(jnp.round(x / scale), -top, top - 1)


@estimator(
  alphabet=None,
  bits=lambda *, bits: bits,
  forward=_integer,
  step=lambda top, *, bits: jnp.maximum(top, FLOOR) / (2 ** (bits - 1) - 1),
  grid=lambda *, bits: range(-(2 ** (bits - 1)), 2 ** (bits - 1)),
)
def absmax(x, *, bits: Whole(2, 8) = 8):
  """Integers up to the largest magnitude (b1.58, activations).

  Forward: `s clip(round(x / s), -2^(b-1), 2^(b-1) - 1)` with
  `s = max |x| / (2^(b-1) - 1)`, halves to even. Backward: `dx = dy`.

  Args:
    x: tensor `[...]`.
    bits: width `b`, 2 to 8.
  """
  del bits
  return jnp.ones_like(x)


_ACT = "absmax|token_max"

method(
  "bitnet",
  paper="BitNet, Wang et al. 2023",
  arxiv="2310.11453",
  weight=Preset(
    "center(per='tensor', detach=True) > ste(clip=None)|tensor_l1",
    (("gradient", "none"), ("measure", "latent")),
  ),
  act=_ACT,
  family="llm",
)
method(
  "bitnet_b158",
  paper="BitNet b1.58, Ma et al. 2024",
  arxiv="2402.17764",
  weight="absmean|tensor_l1",
  act=_ACT,
  family="llm",
)
