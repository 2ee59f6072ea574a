"""AQT: uniform grids of 2 to 8 bits and their calibrated bound.

Accurate Quantized Training, as released in google/aqt; the 4- and 8-bit layers
of PokeBNN use it. An input exactly on the clip passes half the gradient: the
derivative of `jnp.clip` at its edge.
"""

import jax
import jax.numpy as jnp

from bnnjax.core import collector
from bnnjax.core.estimator import estimator
from bnnjax.core.hyper import Whole
from bnnjax.core.progress import Mode
from bnnjax.core.scale import Measured, Variables, scale

BITS = Whole(2, 8)
EPS = 2.0**-23  # added to every bound: float32's machine epsilon


def clip_slope(x, edge):
  """Derivative of `clip(x, -edge, edge)`: 1, 0, and 1/2 on the edge."""
  size = jnp.abs(x)
  return jnp.where(size < edge, 1, jnp.where(size == edge, 0.5, 0))


def _levels(bits):
  return 2 ** (bits - 1) - 1


def width(*, bits):
  """Width of a grid, which is its hyper-parameter."""
  return bits


def _round_symmetric(x, *, scale, bits):
  n = _levels(bits)
  return jnp.floor(jnp.clip(x / scale, -n, n) + 0.5).astype(x.dtype)


@estimator(
  alphabet=None,
  bits=width,
  forward=_round_symmetric,
  step=lambda bound, *, bits: (bound + EPS) / _levels(bits),
  grid=lambda *, bits: range(-_levels(bits), _levels(bits) + 1),
)
def symmetric(x, *, bits: BITS = 4, scale=1.0):
  """Signed uniform grid with `2^bits - 1` levels, 0 among them.

  Forward: `floor(clip(x / s, +-n) + 1/2)` with `n = 2^(bits-1) - 1` and step
  `s = bound / n`. Backward: `dx = dy` inside the bound, 0 outside, half on it.

  Args:
    x: latent tensor `[...]`.
    bits: 2 to 8.
    scale: the step `s`, broadcasts against `x`.
  """
  return clip_slope(x / scale, _levels(bits)).astype(x.dtype)


def _round_unsigned(x, *, scale, bits):
  top = 2**bits - 1
  return jnp.clip(jnp.floor(x / scale), 0, top).astype(x.dtype)


@estimator(
  alphabet=None,
  bits=width,
  forward=_round_unsigned,
  step=lambda bound, *, bits: (bound + EPS) / 2**bits,
  grid=lambda *, bits: range(2**bits),
)
def unsigned(x, *, bits: BITS = 4, scale=1.0):
  """Unsigned uniform grid for inputs that are never negative.

  Forward: `clip(floor(x / s), 0, 2^bits - 1)` with step `s = bound / 2^bits`.
  Backward: `dx = dy` on the inner bins, half on the whole first and last bin
  (floor comes before clip in the released code, so they meet its edges), 0
  outside.

  Args:
    x: latent tensor `[...]`.
    bits: 2 to 8.
    scale: the step `s`, broadcasts against `x`.
  """
  half = (2**bits - 1) / 2
  return clip_slope(jnp.floor(x / scale) - half, half).astype(x.dtype)


def _ema_init(x, **_):
  shape = (1,) * (len(x.shape) - 1) + (x.shape[-1],)
  extremes = collector.running_extremes.init(shape)
  stats = {**extremes, "bound": jnp.full(shape[-1:], -1, jnp.float32)}
  return {}, {name: stat.reshape(shape) for name, stat in stats.items()}


def _ema_bound(stats: Variables) -> jax.Array:
  return jnp.maximum(jnp.abs(stats["max"]), jnp.abs(stats["min"]))


def _freeze(stats: Variables) -> Variables:
  return {**stats, "bound": _ema_bound(stats)}


@scale(init=_ema_init, group=lambda **_: 1, events={"freeze_bounds": _freeze})
def ema_bound(x, params, stats, mode: Mode, *, rate: collector.RATE = 0.1):
  """Per-channel bound from running extremes, frozen once (PokeBNN, AQT).

  Training keeps what `collector.running_extremes` collects: averages of each
  batch's maximum and minimum, zeros left out, `e <- e + rate (extreme - e)`.
  The event `freeze_bounds` sets `bound = max(|max|, |min|)`; until then
  training does not quantize this tensor, and the deployed network uses the
  bound that freezing would give now.

  The bound varies along the contracted axis (group of 1): products are
  low-bit, each is rescaled.

  Args:
    x: activations `[..., C]`.
    rate: share of a new batch in the averages.
  """
  del params
  if mode.train:
    new = collector.running_extremes.update(stats, x, rate=rate)
    stats = {**stats, **new}
  frozen = stats["bound"] >= 0
  bound = jnp.where(frozen, stats["bound"], _ema_bound(stats))
  return Measured(bound, stats, True if mode.deployed else frozen)
