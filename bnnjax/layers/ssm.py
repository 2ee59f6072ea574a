"""The block of Mamba-2, a state space model, whose projections may be low-bit.

Transformers are SSMs, Dao and Gu 2024, arXiv:2405.21060; binarized: Bi-Mamba,
Tang et al. 2024, arXiv:2411.11843. The recurrence is `bnnjax.layers.ssd`.
"""

import dataclasses
import functools
from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx

from bnnjax.core.arguments import checked
from bnnjax.core.progress import Mode
from bnnjax.layers.linear import Linear, Spec
from bnnjax.layers.place import Place
from bnnjax.layers.sizes import check_sizes
from bnnjax.layers.ssd import ssd

DECAY_RATES = (1.0, 16.0)  # -A at the start
STEP_SIZES = (1e-3, 1e-1)  # dt at the start
LEAST_STEP = 1e-4


@functools.partial(
  jax.tree_util.register_dataclass, data_fields=("conv", "ssm"), meta_fields=()
)
@dataclasses.dataclass(frozen=True)
class SSMCache:
  """What a block keeps of all tokens so far; its size is constant.

  Attributes:
    conv: last inputs of the convolution, `[B, width, C]`, float32.
    ssm: state, `[B, H, P, N]` (Mamba-1: `[B, C, N]`), float32.
  """

  conv: jax.Array
  ssm: jax.Array

  @classmethod
  def empty(
    cls, batch: int, conv: tuple[int, ...], ssm: tuple[int, ...]
  ) -> "SSMCache":
    """The cache before the first token, from shapes without the batch."""
    return cls(jnp.zeros((batch, *conv)), jnp.zeros((batch, *ssm)))


def undecayed(value: jax.Array) -> nnx.Param:
  """A parameter without weight decay."""
  return nnx.Param(value, decay=False)


def step_bias(key: jax.Array, shape: tuple[int, ...]) -> jax.Array:
  """`dt_bias` whose softplus is log-uniform in `STEP_SIZES`."""
  low, high = jnp.log(jnp.asarray(STEP_SIZES))
  dt = jnp.exp(jax.random.uniform(key, shape, minval=low, maxval=high))
  dt = jnp.maximum(dt, LEAST_STEP)
  return dt + jnp.log(-jnp.expm1(-dt))  # the inverse of softplus


class CausalConv(Place):
  """A depthwise convolution over time that goes on from the last inputs.

  `y_t = bias + sum_k kernel_k x_{t - width + 1 + k}`: the last tap multiplies
  the token itself. Four products a channel are cheaper as shifted sums than as
  a convolution, and are counted as element-wise operations.

  Args:
    features: channels `C`.
    width: taps.
    rngs: random numbers.

  Attributes:
    kernel: `[width, 1, C]`.
    bias: `[C]`.
  """

  rowless = "every channel has a kernel of its own"

  @checked
  def __init__(self, features: int, width: int, *, rngs: nnx.Rngs):
    if width < 1:
      raise ValueError(f"`conv` has at least 1 tap, got {width}.")
    bound = width**-0.5

    def uniform(*shape):
      key = rngs.params()
      return jax.random.uniform(key, shape, minval=-bound, maxval=bound)

    self.kernel = nnx.Param(uniform(width, 1, features))
    self.bias = nnx.Param(uniform(features))

  def __call__(
    self, x: jax.Array, last: jax.Array
  ) -> tuple[jax.Array, jax.Array]:
    """Convolves what follows on earlier tokens.

    Args:
      x: `[B, T, C]`.
      last: `[B, width, C]`, the inputs before `x`.

    Returns:
      `[B, T, C]`, and the last inputs now, both float32.

    Raises:
      ValueError: last inputs of another shape.
    """
    kernel, length = self.kernel[...], x.shape[1]
    wanted = (x.shape[0], kernel.shape[0], x.shape[2])
    if last.shape != wanted:
      raise ValueError(
        f"The last inputs must be [B, width, C] = {wanted}, got {last.shape}."
      )
    seen = jnp.concatenate([last, self.show(x).astype(last.dtype)], axis=1)
    taps = (seen[:, k + 1 :][:, :length] * tap for k, tap in enumerate(kernel))
    return sum(taps) + self.bias[...], seen[:, length:]


class GatedRMSNorm(nnx.Module):
  """`scale * v / rms(v)` with `v = x silu(z)`, the norm after the gate.

  Args:
    features: the last axis.
    groups: of consecutive features, each with its own mean square.
    epsilon: added to the mean square.

  Raises:
    ValueError: groups that do not divide the features.
  """

  @checked
  def __init__(self, features: int, *, groups: int = 1, epsilon: float = 1e-5):
    if groups < 1 or features % groups:
      raise ValueError(
        f"`groups` must divide the features: got {groups} for {features}."
      )
    self.scale = nnx.Param(jnp.ones((features,)))
    self.groups, self.epsilon = groups, epsilon

  def __call__(self, x: jax.Array, z: jax.Array) -> jax.Array:
    """`[..., features] -> [..., features]`, float32."""
    v = x.astype(jnp.float32) * jax.nn.silu(z.astype(jnp.float32))
    grouped = v.reshape(*v.shape[:-1], self.groups, -1)
    square = jnp.mean(jnp.square(grouped), axis=-1, keepdims=True)
    normed = grouped * jax.lax.rsqrt(square + self.epsilon)
    return normed.reshape(v.shape) * self.scale[...]


class Mamba2(nnx.Module):
  """The mixer of Mamba-2.

    z, xbc, dt = in_proj(u);  x, b, c = silu(conv(xbc));  dt = softplus(dt + bias)
    y = ssd(dt x, -dt exp(A_log), b, c) + D x;  out_proj(norm(y, z))

  Only the two projections may be low-bit. `A_log`, `D` and `dt_bias` take no
  weight decay.

  Args:
    features: of input and output.
    state: size `N` of a state.
    head_size: features `P` of a head.
    expand: features inside, as a multiple of `features`.
    conv: taps of the convolution.
    groups: of heads that share `b` and `c`.
    chunk: tokens that are multiplied out at once, see `ssd`.
    weight, act: binarizers of the projections.
    dtype: of the computation; state and decay are float32 always.
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
    # Not of the variables' shapes: a stack puts an axis in front of them.
    self.cache_shapes = (conv, mixed), (heads, head_size, state)

  def __call__(
    self,
    u: jax.Array,
    mode: Mode | None = None,
    *,
    cache: SSMCache | None = None,
  ) -> Any:
    """Mixes tokens; those before `u` are in the cache.

    Args:
      u: `[B, T, features]`.
      mode: on whose behalf.
      cache: of the tokens before, see `cache`; by default there are none.

    Returns:
      `[B, T, features]`; with a cache, that and the new cache.

    Raises:
      ValueError: no token, or a cache of another shape.
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
  """Raises what `Mamba2` says of its sizes."""
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
