"""BiPFT: elastic binarizers, and low-rank estimates of what they lose.

BiPFT: Binary Pre-trained Foundation Transformer with Low-rank Estimation of
Binarization Residual Polynomials, Xing et al., AAAI 2024, arXiv:2312.08937. The
binarizers are those of BiT: one learned step per tensor with the gradient of
LSQ, set from the first batch (the event `init_steps`). Weights have one scale
per tensor and the identity as gradient. The residual of the attention products
is `bnnjax.layers.low_rank`.
"""

import jax
import jax.numpy as jnp

from bnnjax.core.estimator import estimator
from bnnjax.core.hyper import FACTOR
from bnnjax.core.method import Preset, method
from bnnjax.core.scale import Measured, scale

FLOOR = 1e-5  # least step, in the authors' code


def _lsq(x):
  """Factor of a step's gradient: `1 / sqrt(n)` (LSQ with one positive level)."""
  return 1 / jnp.sqrt(jnp.asarray(x.size, jnp.float32))


def _sign_slope(x, *, value):
  return _lsq(x) * value


@estimator(scale_slope=_sign_slope)
def elastic(x, *, scale=1.0):
  """Sign with a learned step `s` (BiT, signed).

  Forward: `s sign(x)`. Backward, with `n` the size of the tensor:
  `dx = dy 1[|x / s| <= 1]`, `ds = sum(dy sign(x)) / sqrt(n)`.

  Args:
    x: latent tensor `[...]`.
    scale: the step `s`, one number.
  """
  return (jnp.abs(x / scale) <= 1).astype(x.dtype)


def _round(x, *, scale):
  return jnp.clip(jnp.round(x / scale), 0, 1)


def _cut_slope(x, *, scale):
  r = x / scale
  inside = (r >= 0) & (r <= 1)
  return _lsq(x) * jnp.where(inside, jnp.round(r) - r, (r > 1).astype(r.dtype))


@estimator(alphabet=(0, 1), forward=_round, scale_slope=_cut_slope)
def elastic_cut(x, *, scale=1.0):
  """Rounding to {0, 1} with a learned step `s` (BiT, unsigned).

  Forward: `s clip(round(x / s), 0, 1)`, halves to even. Backward, with
  `r = x / s` and `n` the size of the tensor: `dx = dy 1[0 <= r <= 1]`,
  `ds = sum(dy h) / sqrt(n)`, `h` being 1 above 1, `round(r) - r` in [0, 1] and
  0 below.

  Args:
    x: probabilities `[...]`.
    scale: the step `s`, one number.
  """
  r = x / scale
  return ((r >= 0) & (r <= 1)).astype(x.dtype)


def _ones(x, **_):
  return {"step": jnp.ones((1,) * len(x.shape), jnp.float32)}, {}


def _first_step(x, params, stats, mode, *, gain=2.0):
  del mode
  step = gain * jnp.mean(jnp.abs(x), dtype=jnp.float32)
  return {**params, "step": jnp.full_like(params["step"], step)}, stats


@scale(
  init=_ones, gradient="estimator", data_events={"init_steps": _first_step}
)
def learned_step(x, params, stats, mode, *, gain: FACTOR = 2.0):
  """A trained step with the gradient of its estimator.

  1 at the start; the event `init_steps` sets it to `gain mean |x|` of a batch
  (gain 2 for signed and 4 for unsigned tensors in the authors' code, which sets
  it in the first forward pass).

  Args:
    x: tensor `[...]`.
    gain: see above.

  Returns:
    `[1, ...]`, at least 1e-5; the floor does not block its gradient.
  """
  del x, mode, gain
  step = params["step"]
  floored = jnp.maximum(step, FLOOR)
  return Measured(step + jax.lax.stop_gradient(floored - step), stats)


_LATENT = (("gradient", "none"), ("measure", "latent"))
_CENTER = "center(per='tensor', detach=True) > ste(clip=None)"
_SIGNED = "elastic|learned_step"

method(
  "bipft",
  paper="BiPFT, Xing et al., AAAI 2024",
  arxiv="2312.08937",
  weight=Preset(f"{_CENTER}|tensor_l1", _LATENT),
  act=f"shift > {_SIGNED}",
  family="transformer",
  attention={
    **dict.fromkeys(("query", "key", "value"), _SIGNED),
    "probs": "elastic_cut|learned_step(gain=4.0)",
    "residual": 1,
  },
  embedding=Preset(f"{_CENTER}|token_l1", _LATENT),
  events=((0, "init_steps"),),
)
