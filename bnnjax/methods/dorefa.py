"""DoReFa-Net: weights, activations and gradients of k bits.

DoReFa-Net, Zhou et al. 2016, arXiv:1606.06160. The preset is the paper's: 1-bit
weights with one scale per layer, 2-bit activations, 6-bit gradients (the layer
option `grad=`). The maximum of the tanh is not differentiated, as in larq;
`detach=False` differentiates it, as in tensorpack. BiBench's "DoReFa" is
`ste|channel_l1` on weights and `ste` on activations.
"""

import jax
import jax.numpy as jnp

from bnnjax.core.estimator import estimator
from bnnjax.core.gradient_quantizer import gradient
from bnnjax.core.hyper import Whole
from bnnjax.core.method import method
from bnnjax.core.transform import transform

BITS = Whole(1, 8)


def _width(*, bits):
  return bits


def _top(bits):
  return 2**bits - 1


@transform
def tanh_unit(x: jax.Array, *, detach: bool = True) -> jax.Array:
  """`tanh(x) / max |tanh(x)|` over the whole tensor (eq. 9), within [-1, 1].

  Args:
    x: latent weights `[...]`; all zeros stay zeros.
    detach: whether the maximum is not differentiated.
  """
  t = jnp.tanh(x)
  top = jnp.max(jnp.abs(t))
  if detach:
    top = jax.lax.stop_gradient(top)
  return t / jnp.where(top > 0, top, 1)


def _odd(x, *, scale, bits):
  n = _top(bits)
  unit = jnp.clip(x / (scale * n), -1, 1)
  return 2 * jnp.round((unit / 2 + 0.5) * n) - n


def _step(bound, *, bits):
  return bound / _top(bits)


def _odd_grid(*, bits):
  return range(-_top(bits), _top(bits) + 1, 2)


def _grid(*, bits):
  return range(2**bits)


@estimator(alphabet=None, bits=_width, forward=_odd, step=_step, grid=_odd_grid)
def dorefa_weight(x, *, bits: BITS = 2):
  """Odd integers `-n .. n`, `n = 2^bits - 1`, after `tanh_unit` (eq. 9).

  Forward: `2 round(n (x / 2 + 1/2)) - n`, ties to even, in steps of `1 / n`.
  Backward: `dx = dy`. A scale replaces the bound 1.

  Args:
    x: weights in [-1, 1].
    bits: 1 to 8.
  """
  del bits
  return jnp.ones_like(x)


def _steps(x, *, scale, bits):
  # In the order of the original, whose rounding ties depend on n x.
  n = _top(bits)
  return jnp.round(jnp.clip(x / (scale * n), 0, 1) * n)


@estimator(alphabet=None, bits=_width, forward=_steps, step=_step, grid=_grid)
def dorefa_act(x, *, bits: BITS = 2, scale=1.0):
  """Integers `0 .. n`, `n = 2^bits - 1` (eq. 11); one bit gives {0, 1}.

  Forward: `round(n clip(x, 0, 1))`, ties to even, in steps of `1 / n`.
  Backward: `dx = dy 1[0 <= x <= 1]`. A scale replaces the bound 1.

  Args:
    x: activations `[...]`.
    bits: 1 to 8.
    scale: the step, broadcasts against `x`.
  """
  inside = (x >= 0) & (x <= scale * _top(bits))
  return inside.astype(x.dtype)


@gradient
def dorefa_grad(
  dy: jax.Array, key: jax.Array, *, bits: Whole(1, 15) = 6
) -> jax.Array:
  """Gradients of `bits` bits with random rounding (eq. 12).

  `2 m (q(clip(g / (2 m) + 1/2 + u, 0, 1)) - 1/2)` with `m = max |g|` of each
  example; `u` is uniform within half a level, which makes it unbiased.

  Args:
    dy: `[N, ...]`.
    key: of the noise.
    bits: width, 1 to 15.
  """
  n = _top(bits)
  axes = tuple(range(1, dy.ndim))
  top = jnp.max(jnp.abs(dy), axes, keepdims=True)
  double = jnp.where(top == 0, 1, 2 * top)
  noise = jax.random.uniform(key, dy.shape, dy.dtype, -0.5, 0.5) / n
  level = jnp.round(jnp.clip(dy / double + 0.5 + noise, 0, 1) * n) / n
  return jnp.where(top == 0, 0, double * (level - 0.5))


method(
  "dorefa",
  paper="DoReFa-Net, Zhou et al. 2016",
  arxiv="1606.06160",
  weight="ste(clip=None)|tensor_l1",
  act="dorefa_act(bits=2)",
  grad="dorefa_grad(bits=6)",
)
