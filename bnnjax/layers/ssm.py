"""Parts that the blocks of Mamba and Mamba-2, state space models, share."""

import dataclasses
import functools

import jax
import jax.numpy as jnp
from flax import nnx

from bnnjax import deprecated
from bnnjax.core.arguments import checked
from bnnjax.layers.collection_point import CollectionPoint

STEP_SIZES = (1e-3, 1e-1)  # dt at the start
LEAST_STEP = 1e-4


@functools.partial(
  jax.tree_util.register_dataclass, data_fields=("conv", "ssm"), meta_fields=()
)
@dataclasses.dataclass(frozen=True)
class SSMCache:
  """The state of a block after some tokens; its size is constant.

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
    """The cache before the first token; shapes are without the batch."""
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


class CausalConv(CollectionPoint):
  """A causal depthwise convolution that continues from the last inputs.

  `y_t = bias + sum_k kernel_k x_{t - width + 1 + k}`: the last tap multiplies
  the token itself. Four products per channel are cheaper as shifted sums than
  as a convolution; they are counted as elementwise operations.

  Args:
    features: channels `C`.
    width: number of taps.
    rngs: random numbers.

  Attributes:
    kernel: `[width, 1, C]`.
    bias: `[C]`.
  """

  why_no_rows = "every channel has a kernel of its own"

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
    """Convolves tokens that follow earlier ones.

    Args:
      x: `[B, T, C]`.
      last: `[B, width, C]`, the inputs before `x`.

    Returns:
      `[B, T, C]`, and the new last inputs, both float32.

    Raises:
      ValueError: last inputs of the wrong shape.
    """
    kernel, length = self.kernel[...], x.shape[1]
    wanted = (x.shape[0], kernel.shape[0], x.shape[2])
    if last.shape != wanted:
      raise ValueError(
        f"The last inputs must be [B, width, C] = {wanted}, got {last.shape}."
      )
    seen = jnp.concatenate([last, self.observe(x).astype(last.dtype)], axis=1)
    taps = (seen[:, k + 1 :][:, :length] * tap for k, tap in enumerate(kernel))
    return sum(taps) + self.bias[...], seen[:, length:]


__getattr__ = deprecated.old_names(
  __name__,
  {
    "Mamba2": "bnnjax.layers.mamba2.Mamba2",
    "GatedRMSNorm": "bnnjax.layers.norm.GatedRMSNorm",
  },
)
