"""State space duality: the recurrence of Mamba-2, as matrix products.

Transformers are SSMs, Dao and Gu 2024, arXiv:2405.21060. With one scalar decay
per head, states `S [P, N]` and tokens `t`,

  S_t = exp(a_t) S_{t-1} + x_t (outer) b_t,    y_t = S_t c_t,

which is the masked product `y = ((C B^T) * L) X`, `L_ij = exp(a_{j+1} + ... +
a_i)`. `ssd` computes it in chunks: the product within each, the recurrence
between chunks. Memory grows with `T` and holds the products of one segment of
chunks at a time.

Every form is counted as the recurrence, `2 H P N` multiply-accumulates per
token (the outer product and the product with `c`), since chunks only change the
speed. The additional products of chunks have their own line in a report.

Shapes: `x [B, T, H, P]` (times the step size, where there is one), log decays
`a [B, T, H]`, `b, c [B, T, G, N]` for `G` groups of heads, states
`[B, H, P, N]`. Decays and states are always float32.
"""

import functools
import math

import jax
import jax.numpy as jnp

from bnnjax.core.declared_cost import counted_as
from bnnjax.layers.checks import check_sizes

WIDE = jnp.float32


def segsum(a: jax.Array) -> jax.Array:
  """Sums over segments, `s_ij = a_{j+1} + ... + a_i`.

  Each segment is summed separately: in a difference of two running sums, a
  large decay of earlier tokens would cancel the digits of a small one.

  Args:
    a: `[..., Q]`.

  Returns:
    `[..., Q, Q]`, 0 on the diagonal and -inf above it.

  Example:
    >>> segsum(jnp.array([1.0, 2.0, 3.0]))[:, 0]  # 0, a_1, a_1 + a_2
    [0. 2. 5.]
  """
  i = jnp.arange(a.shape[-1])[:, None]
  later, j = jnp.where(i > i.T, a[..., :, None], 0), i.T
  return jnp.where(i >= j, jnp.cumsum(later, axis=-2), -jnp.inf)


@jax.named_scope("ssd")
def ssd(
  x: jax.Array,
  a: jax.Array,
  b: jax.Array,
  c: jax.Array,
  *,
  chunk: int = 64,
  segment: int = 8,
  state: jax.Array | None = None,
) -> tuple[jax.Array, jax.Array]:
  """The recurrence in chunks.

  Args:
    x, a, b, c: of any length `T`; padded with zeros, which keep the state.
    chunk: tokens per chunk; reduced to `T` if larger.
    segment: chunks that are computed at once. Segments are computed one after
      another, and again in the backward pass, from the state before each.
    state: before the first token; zeros by default.

  Returns:
    `y [B, T, H, P]` in the dtype of `x`, and the state after the last token.

  Raises:
    ValueError: no token, a chunk or segment below 1, groups that do not divide
      the heads, or incompatible shapes.
  """
  state = _checked(x, a, b, c, state)
  check_sizes(chunk=chunk, segment=segment)
  run = functools.partial(_in_chunks, chunk=chunk, segment=segment)
  return _counted(run, x, b)(state, x, a, b, c)


def _counted(run, x, b):
  """`run`, counted as the recurrence over all of `x [..., P]`."""
  states = b.shape[-1]
  macs = 2 * x.size * states
  return counted_as(run, macs, length=states, what="the recurrence of Mamba-2")


def _in_chunks(state, x, a, b, c, *, chunk, segment):
  """`ssd` of checked arguments."""
  batch, length, heads, _ = x.shape
  groups, size = b.shape[2], min(chunk, length)
  count = -(-length // size)
  segments = -(-count // segment)
  shape = segments, -(-count // segments), size

  def split(t, *rest):
    """`[B, T, ...] -> [segments, B, chunks, size, *rest]`."""
    padding = math.prod(shape) - length
    t = jnp.pad(t, [(0, 0), (0, padding)] + [(0, 0)] * (t.ndim - 2))
    return jnp.moveaxis(t.reshape(batch, *shape, *rest), 1, 0)

  grouped = groups, heads // groups
  state, y = jax.lax.scan(
    jax.checkpoint(_segment, prevent_cse=False),
    state.reshape(batch, *grouped, *state.shape[2:]),
    (
      split(x, *grouped, x.shape[3]),
      split(a.astype(WIDE), *grouped),
      split(b, *b.shape[2:]),
      split(c, *c.shape[2:]),
    ),
  )
  y = jnp.moveaxis(y, 0, 1).reshape(batch, -1, *x.shape[2:])[:, :length]
  return y, state.reshape(batch, heads, *state.shape[3:])


def _segment(state, given):
  """The chunks of a segment.

  Args:
    state: `[B, G, H / G, P, N]` before the first.
    given: `x, a, b, c`, `[B, chunks, size, ...]`, with `G, H / G` for the
      heads.

  Returns:
    The state after the last, and `y` like `x`.
  """
  x, a, b, c = given
  a = jnp.moveaxis(a, 2, -1)  # [B, chunks, G, H / G, size]
  sums = segsum(a)
  within, total = jnp.exp(sums), sums[..., 0] + a[..., :1]
  scores = _product("zkign,zkjgn->zkgij", c, b)[:, :, :, None]
  y = _product("zkgrij,zkjgrp->zkigrp", scores * within, x)
  # Decays to the end of the chunk are the last row of `within`.
  left = jnp.moveaxis(within[..., -1, :], -1, 2)[..., None] * x
  added = _product("zkjgn,zkjgrp->kzgrpn", b, left)

  def step(state, chunk):
    decay, new = chunk
    return jnp.exp(decay)[..., None, None] * state + new, state

  decays = jnp.moveaxis(total[..., -1], 1, 0)
  state, before = jax.lax.scan(step, state, (decays, added))
  carried = jnp.einsum("zkign,kzgrpn->zkigrp", c.astype(WIDE), before)
  y = y + carried * jnp.moveaxis(jnp.exp(total), -1, 2)[..., None]
  return state, y.astype(x.dtype)


@jax.named_scope("ssd")
def ssd_step(
  x: jax.Array, a: jax.Array, b: jax.Array, c: jax.Array, state: jax.Array
) -> tuple[jax.Array, jax.Array]:
  """One token of the recurrence.

  Args:
    x, a, b, c: `[B, H, P]`, `[B, H]`, `[B, G, N]`, `[B, G, N]`.
    state: before the token.

  Returns:
    `y [B, H, P]` in the dtype of `x`, and the new state.

  Raises:
    ValueError: as in `ssd`.
  """
  state = _checked(*(t[:, None] for t in (x, a, b, c)), state)
  return _counted(_one_token, x, b)(state, x, a, b, c)


def _one_token(state, x, a, b, c):
  """`ssd_step` of checked arguments."""
  copies = x.shape[1] // b.shape[1]
  b, c = (jnp.repeat(t.astype(WIDE), copies, axis=1) for t in (b, c))
  decay = jnp.exp(a.astype(WIDE))[..., None, None]
  state = decay * state + x[..., None] * b[:, :, None]
  return jnp.einsum("bhpn,bhn->bhp", state, c).astype(x.dtype), state


def ssd_sequential(
  x: jax.Array,
  a: jax.Array,
  b: jax.Array,
  c: jax.Array,
  *,
  state: jax.Array | None = None,
) -> tuple[jax.Array, jax.Array]:
  """The recurrence token by token, the reference for `ssd`.

  Arguments, results and errors are those of `ssd`.
  """
  state = _checked(x, a, b, c, state)

  def step(state, token):
    y, state = ssd_step(*token, state)
    return state, y

  tokens = tuple(jnp.moveaxis(t, 1, 0) for t in (x, a, b, c))
  state, y = jax.lax.scan(step, state, tokens)
  return jnp.moveaxis(y, 0, 1), state


def _product(spec: str, p: jax.Array, q: jax.Array) -> jax.Array:
  """`einsum` in the dtype of the last operand, summed in float32."""
  p = p.astype(q.dtype)
  return jnp.einsum(spec, p, q, preferred_element_type=WIDE)


def _checked(x, a, b, c, state) -> jax.Array:
  """The state in float32; raises the errors of `ssd` about shapes."""
  if x.ndim != 4 or not x.shape[1]:
    raise ValueError(
      f"`x` is [B, T, H, P] with at least one token, got shape {x.shape}."
    )
  batch, length, heads, size = x.shape
  if a.shape != x.shape[:3]:
    raise ValueError(
      f"`a` must be [B, T, H] = {x.shape[:3]}, one log decay per head: got"
      f" {a.shape}."
    )
  if b.ndim != 4 or b.shape != c.shape or b.shape[:2] != (batch, length):
    raise ValueError(
      f"`b` and `c` must both be [B, T, G, N] with [B, T] = {x.shape[:2]}: got"
      f" {b.shape} and {c.shape}."
    )
  if not b.shape[2] or heads % b.shape[2]:
    raise ValueError(
      f"The groups of `b` and `c` must divide the heads: got {b.shape[2]}"
      f" groups for {heads} heads."
    )
  wanted = (batch, heads, size, b.shape[-1])
  if state is None:
    return jnp.zeros(wanted, WIDE)
  if state.shape != wanted:
    raise ValueError(
      f"`state` must be [B, H, P, N] = {wanted}, got {state.shape}."
    )
  return state.astype(WIDE)
