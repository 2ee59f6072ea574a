"""FDA-BNN: the derivative of a Fourier series of the sign, and noise modules.

Learning Frequency Domain Approximation for Binary Neural Networks, Xu et al.,
NeurIPS 2021, arXiv:2103.00841. A small network adds `alpha eta(x)` to the signs
while `alpha` falls to 0; the deployed network does not have it. The gradient
follows BiBench (the authors released the evaluation alone): `n` grows from 9 to
18, although the surrogate is then negative near |x| = 1.
"""

import math

import jax
import jax.numpy as jnp

from bnnjax.core.estimator import estimator
from bnnjax.core.hyper import Choice, Real, Whole
from bnnjax.core.method import Preset, method
from bnnjax.core.numerics import sign

ALONG = ("feature", "filter")


def fourier_slope(x: jax.Array, n, omega) -> jax.Array:
  """`(4 w / pi) sum_{i=0..n} cos((2i + 1) w x)` where `|x| <= 1` (eq. 6).

  Summed in closed form: `(2 w / pi) sin(2 (n + 1) w x) / sin(w x)`.
  """
  z = omega * jnp.clip(x.astype(jnp.promote_types(x.dtype, jnp.float32)), -1, 1)
  z = jnp.maximum(jnp.abs(z), 1e-6)  # the limit at 0
  slope = 2 * omega / jnp.pi * jnp.sin(2 * (n + 1) * z) / jnp.sin(z)
  return jnp.where(jnp.abs(x) <= 1, slope, 0)


def noise(params, x: jax.Array, along: str = "feature") -> jax.Array:
  """`eta(v) = W2 relu(W1 v) + 0.1 sin(v)` for each vector `v` of `x` (eq. 10).

  Args:
    params: `noise_in [d, hidden]` and `noise_out [hidden, d]`.
    x: `[..., C]`.
    along: axes of a vector: the last one (`"feature"`: activations) or all
      others (`"filter"`: the filter of each output channel).
  """
  v = x.reshape(-1, x.shape[-1]).T if along == "filter" else x
  hidden = jax.nn.relu(v @ params["noise_in"].astype(v.dtype))
  eta = hidden @ params["noise_out"].astype(v.dtype) + 0.1 * jnp.sin(v)
  return eta.T.reshape(x.shape) if along == "filter" else eta


def _noise_init(x, key, *, along, reduction, **_):
  if not reduction:
    return {}
  if along == "filter" and isinstance(x, jax.ShapeDtypeStruct):
    raise ValueError(
      "`along='filter'` of estimator 'fda' is for weights: leave it out for"
      " activations, whose vectors are the last axis."
    )
  d = math.prod(x.shape[:-1]) if along == "filter" else x.shape[-1]
  hidden = max(1, d // reduction)
  keys = jax.random.split(key)

  def uniform(key, fan_in, fan_out):  # of torch.nn.Linear
    edge = fan_in**-0.5
    return jax.random.uniform(key, (fan_in, fan_out), jnp.float32, -edge, edge)

  return {
    "noise_in": uniform(keys[0], d, hidden),
    "noise_out": uniform(keys[1], hidden, d),
  }


def _noisy_sign(x, params, *, alpha, along, at_zero):
  y = sign(x, at_zero)
  return y + alpha * noise(params, x, along) if params else y


@estimator(
  forward=_noisy_sign, full_rule=True, init=_noise_init, training_only=True
)
def fda(
  x,
  scale,
  dy,
  params,
  *,
  n: Real(0, 1e4) = 9.0,
  omega: Real(1e-4, 3) = 0.1,
  alpha: Real(0, 10) = 0.0,
  along: Choice(ALONG) = "feature",
  reduction: Whole(0) = 64,
):
  """Sign with the derivative of a truncated Fourier series, and noise.

  Forward: `sign(x) + alpha eta(x)`, deployed `sign(x)`. Backward: `dx = dy g(x)
  + alpha J_eta^T dy` with `g` of `fourier_slope`; `eta` by the chain rule. In
  training `n` climbs from 9 to 18 and `alpha` falls from 0.1 to 0.

  Args:
    x: latent tensor `[..., C]`.
    n: terms of the series, less one.
    omega: base frequency.
    alpha: share of the noise.
    along: see `noise`.
    reduction: there are `d / reduction` hidden units, at least 1; 0: no noise.
  """
  del scale, reduction
  dx = dy * fourier_slope(x, n, omega)
  if not params:
    return dx.astype(x.dtype), params
  eta, vjp = jax.vjp(lambda x, p: alpha * noise(p, x, along), x, params)
  dnoise, dparams = vjp(dy.astype(eta.dtype))
  return (dx + dnoise).astype(x.dtype), dparams


_SCHEDULES = (
  "n=staircase(start=9, end=18), alpha=cosine(start=0.1, end=0.0, ahead=1.0)"
)
method(
  "fda",
  paper="FDA-BNN, Xu et al., NeurIPS 2021",
  arxiv="2103.00841",
  weight=Preset(
    f"fda({_SCHEDULES}, along='filter')|channel_l1", (("gradient", "multiply"),)
  ),
  act=f"fda({_SCHEDULES})",
)
