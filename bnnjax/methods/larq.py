"""Estimators of larq: swish sign, ternary and heaviside; QuickNet's preset.

Larq: An Open-Source Library for Training Binarized Neural Networks, Geiger &
Team, JOSS 2020; Larq Compute Engine, Bannink et al. 2020, arXiv:2011.09398
(QuickNet). Its SteSign, ApproxSign and MagnitudeAwareSign are `ste`,
`approx_sign` and `ste|channel_l1` with `gradient="multiply"`; DoReFa is in
`dorefa.py`.
"""

import jax.numpy as jnp

from bnnjax.core.estimator import estimator
from bnnjax.core.hyper import Real
from bnnjax.core.method import method
from bnnjax.methods.ste import WINDOW, ste

_FLAT = 40.0  # cosh(40)^2 is 1e34: beyond, the slope is 0 and cosh overflows


@estimator()
def swish_sign(x, *, beta: Real(1e-4, 1e4) = 5.0):
  """Sign with the derivative of sign-swish (BNN+, Darabi et al., 1812.11800).

  Forward: `sign(x)`. Backward: `dx = dy b (2 - b x tanh(b x / 2)) / (1 + cosh(b
  x))`, computed as `b sech(u)^2 (1 - u tanh(u))` with `u = b x / 2`: `b` at 0,
  slightly negative in the tails.

  Args:
    x: latent tensor `[...]`.
    beta: `b`, steepness.
  """
  u = jnp.clip(beta / 2 * x, -_FLAT, _FLAT)
  return beta * (1 - u * jnp.tanh(u)) / jnp.square(jnp.cosh(u))


def _ternary(x, *, threshold, twn):
  if twn:
    threshold = 0.7 * jnp.mean(jnp.abs(x))
  return jnp.sign(jnp.sign(x + threshold) + jnp.sign(x - threshold))


@estimator(alphabet=(-1, 0, 1), bits=2, forward=_ternary)
def ste_tern(
  x, *, threshold: Real(0) = 0.05, clip: WINDOW = 1.0, twn: bool = False
):
  """Ternary values with the clipped identity (Ternary Weight Networks).

  Forward: 0 where `|x| < t`, else the sign. Backward: `dx = dy 1[|x| <=
  clip]`; nothing through `t`.

  Args:
    x: latent tensor `[...]`.
    threshold: `t`.
    clip: as in `ste`.
    twn: `t = 0.7 mean |x|` over the tensor (Li et al. 2016, 1605.04711, eq. 6).
  """
  del threshold, twn
  return ste.slope(x, clip=clip)


def _heaviside(x):
  return x > 0


@estimator(alphabet=(0, 1), forward=_heaviside)
def ste_heaviside(x, *, clip: WINDOW = 1.0, strict: bool = False):
  """Step to {0, 1} with the clipped identity.

  Forward: `1[x > 0]`. Backward: `dx = dy 1[|x| <= clip]`.

  Args:
    x: latent tensor `[...]`.
    clip, strict: as in `ste`.
  """
  return ste.slope(x, clip=clip, strict=strict)


method(
  "quicknet",
  paper="Larq Compute Engine (QuickNet), Bannink et al. 2020",
  arxiv="2011.09398",
  weight="ste(clip=1.25)",
  act="ste(clip=1.25)",
)
