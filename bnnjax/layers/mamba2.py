"""The mixer of Mamba-2, a state space model; its projections may be low-bit.

Transformers are SSMs, Dao and Gu 2024, arXiv:2405.21060; binarized: Bi-Mamba,
Tang et al. 2024, arXiv:2411.11843. The recurrence is `bnnjax.layers.ssd`.
"""

from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx

from bnnjax.core.arguments import checked
from bnnjax.core.progress import Mode
from bnnjax.layers.checks import check_sizes
from bnnjax.layers.linear import Linear, Spec
from bnnjax.layers.norm import GatedRMSNorm
from bnnjax.layers.ssd import ssd
from bnnjax.layers.ssm import CausalConv, SSMCache, step_bias, undecayed

DECAY_RATES = (1.0, 16.0)  # -A at the start


class Mamba2(nnx.Module):
  """The mixer of Mamba-2.

    z, xbc, dt = in_proj(u);  x, b, c = silu(conv(xbc))
    dt = softplus(dt + dt_bias);  y = ssd(dt x, -dt exp(A_log), b, c) + D x
    out_proj(norm(y, z))

  Only the two projections may be low-bit. `A_log`, `D` and `dt_bias` take no
  weight decay.

  Args:
    features: of input and output.
    state: size `N` of a state.
    head_size: features `P` of a head.
    expand: features inside, as a multiple of `features`.
    conv: taps of the convolution.
    groups: of heads that share `b` and `c`.
    chunk: tokens per chunk, see `ssd`.
    weight, act: binarizers of the projections.
    dtype: of the computation; state and decay are always float32.
    rngs: random numbers.

  Raises:
    ValueError: a size below 1, heads that do not divide the features inside, or
      groups that do not divide the heads.
  """

  @checked
  def __init__(
    self,
    features: int,
    *,
    state: int = 128,
    head_size: int = 64,
    expand: int = 2,
    conv: int = 4,
    groups: int = 1,
    chunk: int = 64,
    weight: Spec = None,
    act: Spec = None,
    dtype: Any = None,
    rngs: nnx.Rngs,
  ):
    inside = expand * features
    _check_sizes(inside, state, head_size, groups, chunk)
    heads, mixed = inside // head_size, inside + 2 * groups * state
    low = {"weight": weight, "act": act, "dtype": dtype, "use_bias": False}
    self.in_proj = Linear(features, inside + mixed + heads, rngs=rngs, **low)
    self.conv = CausalConv(mixed, conv, rngs=rngs)
    rates = jax.random.uniform(
      rngs.params(), (heads,), minval=DECAY_RATES[0], maxval=DECAY_RATES[1]
    )
    self.A_log = undecayed(jnp.log(rates))
    self.D = undecayed(jnp.ones((heads,)))
    self.dt_bias = undecayed(step_bias(rngs.params(), (heads,)))
    self.norm = GatedRMSNorm(inside, groups=groups)
    self.out_proj = Linear(inside, features, parallel="row", rngs=rngs, **low)
    self.inside, self.state = inside, state
    self.groups, self.chunk = groups, chunk
    # Not derived from variables, to which a stack adds an axis in front.
    self.cache_shapes = (conv, mixed), (heads, head_size, state)

  def __call__(
    self,
    u: jax.Array,
    mode: Mode | None = None,
    *,
    cache: SSMCache | None = None,
  ) -> Any:
    """Mixes tokens; the cache represents those before `u`.

    Args:
      u: `[B, T, features]`.
      mode: training or deployment; by default as `train()` or `eval()` set it.
      cache: of the tokens before `u`, see `cache`; by default there are none.

    Returns:
      `[B, T, features]`; with a cache, a pair of this and the new cache.

    Raises:
      ValueError: no token, or a cache of the wrong shape.
    """
    batch, length, _ = u.shape
    before = self.cache(batch) if cache is None else cache
    inside, shared = self.inside, self.groups * self.state
    z, xbc, dt = jnp.split(
      self.in_proj(u, mode), (inside, 2 * (inside + shared)), axis=-1
    )
    xbc, last = self.conv(xbc, before.conv)
    xbc = jax.nn.silu(xbc).astype(z.dtype)
    x, b, c = jnp.split(xbc, (inside, inside + shared), axis=-1)
    dt = jax.nn.softplus(dt.astype(jnp.float32) + self.dt_bias[...])
    x = x.reshape(batch, length, *self.cache_shapes[1][:2])
    y, ssm = ssd(
      (x * dt[..., None]).astype(x.dtype),
      -jnp.exp(self.A_log[...]) * dt,
      *(t.reshape(batch, length, self.groups, self.state) for t in (b, c)),
      chunk=self.chunk,
      state=before.ssm,
    )
    y = y + self.D[...][:, None] * x
    y = self.norm(y.reshape(batch, length, -1), z)
    y = self.out_proj(y.astype(z.dtype), mode)
    return y if cache is None else (y, SSMCache(last, ssm))

  def cache(self, batch: int) -> SSMCache:
    """The cache before the first token."""
    return SSMCache.empty(batch, *self.cache_shapes)


def _check_sizes(inside, state, head_size, groups, chunk):
  """Raises the errors of `Mamba2` about sizes."""
  check_sizes(state=state, chunk=chunk)
  if head_size < 1 or inside < 1 or inside % head_size:
    raise ValueError(
      "`head_size` must divide the features inside, `expand` times `features`:"
      f" got {head_size} for {inside}."
    )
  heads = inside // head_size
  if groups < 1 or heads % groups:
    raise ValueError(
      f"`groups` must divide the heads: got {groups} for {heads} heads."
    )
