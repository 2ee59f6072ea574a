"""The mixer of Mamba, a selective scan; `mamba2` has its successor.

Mamba: Linear-Time Sequence Modeling with Selective State Spaces, Gu and Dao
2023, arXiv:2312.00752. Every channel has its own state and decays:

  h_t = exp(dt_t A) h_{t-1} + dt_t x_t b_t,    y_t = h_t c_t,    h [C, N]

It costs `2 C N` multiply-accumulates per token, whatever the chunk.
"""

import functools
from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx

from bnnjax.core.arguments import checked
from bnnjax.core.declared_cost import counted_as
from bnnjax.core.progress import Mode
from bnnjax.layers.checks import check_sizes
from bnnjax.layers.linear import Linear, Spec
from bnnjax.layers.ssm import CausalConv, SSMCache, step_bias, undecayed

WIDE = jnp.float32
RANK = 16  # the rank of the projection to dt is `features / RANK`, rounded up


@jax.named_scope("selective_scan")
def selective_scan(
  x: jax.Array,
  dt: jax.Array,
  a: jax.Array,
  b: jax.Array,
  c: jax.Array,
  *,
  chunk: int = 64,
  state: jax.Array | None = None,
) -> tuple[jax.Array, jax.Array]:
  """The recurrence above, token by token.

  The backward pass stores one state per chunk and recomputes the others. On a
  CPU an associative scan within chunks took 2.7 times as long and three times
  the memory (1,024 tokens, 256 channels, states of 16).

  Args:
    x, dt: `[B, T, C]`, input and step size.
    a: `[C, N]`, below 0.
    b, c: `[B, T, N]`.
    chunk: tokens per chunk; reduced to `T` if larger.
    state: before the first token, `[B, C, N]`; zeros by default.

  Returns:
    `y [B, T, C]` in the dtype of `x`, and the state after the last token,
    float32.

  Raises:
    ValueError: no token, a chunk below 1, or incompatible shapes.
  """
  state = _checked(x, dt, a, b, c, chunk, state)
  run = counted_as(
    functools.partial(_in_chunks, chunk=chunk),
    2 * x.size * a.shape[-1],
    length=a.shape[-1],
    what="the recurrence of Mamba",
  )
  return run(state, x, dt, a, b, c)


def _in_chunks(state, x, dt, a, b, c, *, chunk):
  """`selective_scan` of checked arguments."""
  batch, length, _ = x.shape
  size = min(chunk, length)

  def chunks(t):
    """`[B, T, ...] -> [chunks, size, B, ...]`, padded with zeros."""
    t = jnp.pad(t.astype(WIDE), [(0, 0), (0, -length % size), (0, 0)])
    return jnp.moveaxis(t, 1, 0).reshape(-1, size, batch, t.shape[2])

  def token(state, given):
    x, dt, b, c = given
    state = (
      jnp.exp(dt[..., None] * a) * state + (dt * x)[..., None] * b[:, None]
    )
    return state, jnp.einsum("bcn,bn->bc", state, c)

  step = functools.partial(jax.lax.scan, token)
  state, y = jax.lax.scan(
    jax.checkpoint(step, prevent_cse=False),
    state,
    tuple(map(chunks, (x, dt, b, c))),
  )
  y = jnp.moveaxis(y.reshape(-1, *y.shape[2:]), 0, 1)[:, :length]
  return y.astype(x.dtype), state


def _checked(x, dt, a, b, c, chunk, state) -> jax.Array:
  """The state in float32; raises the errors of `selective_scan`."""
  check_sizes(chunk=chunk)
  if x.ndim != 3 or not x.shape[1] or dt.shape != x.shape:
    raise ValueError(
      "`x` and `dt` are both [B, T, C] with at least one token: got"
      f" {x.shape} and {dt.shape}."
    )
  batch, length, channels = x.shape
  shared = (batch, length, a.shape[-1])
  if a.shape[:-1] != (channels,) or not b.shape == c.shape == shared:
    raise ValueError(
      f"`a`, `b` and `c` must be [C, N], [B, T, N] and [B, T, N] for `x`"
      f" {x.shape}: got {a.shape}, {b.shape} and {c.shape}."
    )
  wanted = (batch, *a.shape)
  if state is None:
    return jnp.zeros(wanted, WIDE)
  if state.shape != wanted:
    raise ValueError(
      f"`state` must be [B, C, N] = {wanted}, got {state.shape}."
    )
  return state.astype(WIDE)


class Mamba1(nnx.Module):
  """The mixer of Mamba.

    x, z = in_proj(u);  x = silu(conv(x));  r, b, c = x_proj(x)
    dt = softplus(dt_proj(r) + dt_bias)
    y = scan(x, dt, -exp(A_log), b, c) + D x;  out_proj(y silu(z))

  Only `in_proj` and `out_proj` may be low-bit.

  Args:
    features: of input and output.
    state: size `N` of a channel's state.
    expand, conv, weight, act, dtype, rngs: as in `mamba2.Mamba2`.
    chunk: tokens between two stored states, see `selective_scan`.

  Raises:
    ValueError: a size below 1.
  """

  @checked
  def __init__(
    self,
    features: int,
    *,
    state: int = 16,
    expand: int = 2,
    conv: int = 4,
    chunk: int = 64,
    weight: Spec = None,
    act: Spec = None,
    dtype: Any = None,
    rngs: nnx.Rngs,
  ):
    check_sizes(state=state, expand=expand, chunk=chunk)
    inside, rank = expand * features, -(-features // RANK)
    options = {"dtype": dtype, "use_bias": False, "rngs": rngs}
    low = {"weight": weight, "act": act, **options}
    self.in_proj = Linear(features, 2 * inside, **low)
    self.conv = CausalConv(inside, conv, rngs=rngs)
    self.x_proj = Linear(inside, rank + 2 * state, parallel="row", **options)
    self.dt_proj = Linear(rank, inside, **options)
    self.dt_bias = undecayed(step_bias(rngs.params(), (inside,)))
    rates = jnp.arange(1, state + 1, dtype=WIDE)
    self.A_log = undecayed(jnp.log(jnp.tile(rates, (inside, 1))))
    self.D = undecayed(jnp.ones((inside,)))
    self.out_proj = Linear(inside, features, parallel="row", **low)
    self.rank, self.state, self.chunk = rank, state, chunk
    self.cache_shapes = (conv, inside), (inside, state)

  def __call__(
    self,
    u: jax.Array,
    mode: Mode | None = None,
    *,
    cache: SSMCache | None = None,
  ) -> Any:
    """`[B, T, features] -> [B, T, features]`; cache as in `mamba2.Mamba2`."""
    before = self.cache(u.shape[0]) if cache is None else cache
    x, z = jnp.split(self.in_proj(u, mode), 2, axis=-1)
    x, last = self.conv(x, before.conv)
    x = jax.nn.silu(x).astype(z.dtype)
    parts = self.rank, self.rank + self.state
    r, b, c = jnp.split(self.x_proj(x, mode), parts, axis=-1)
    dt = self.dt_proj(r, mode).astype(WIDE) + self.dt_bias[...]
    dt, a = jax.nn.softplus(dt), -jnp.exp(self.A_log[...])
    y, ssm = selective_scan(x, dt, a, b, c, chunk=self.chunk, state=before.ssm)
    y = (y + self.D[...] * x) * jax.nn.silu(z.astype(WIDE))
    y = self.out_proj(y.astype(z.dtype), mode)
    return y if cache is None else (y, SSMCache(last, ssm))

  def cache(self, batch: int) -> SSMCache:
    """The cache before the first token."""
    return SSMCache.empty(batch, *self.cache_shapes)
