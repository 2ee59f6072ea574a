"""Normalization layers, channels last."""

from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx
from jax import lax

from bnnjax.core import hyper, registry, signature, spec
from bnnjax.core.arguments import checked
from bnnjax.core.hyper import Real
from bnnjax.core.progress import Mode
from bnnjax.layers.mode import ModeAware, mode_of, warn_if_differentiated

STATISTICS = ("batch", "estimate")
GROUPS = 32  # in every layer of the released code of batch-channel norm


class BatchModeAware(ModeAware):
  """A module with batch statistics, for which flax has a switch of its own.

  Attributes:
    use_running_average: False in training; set by `train()` and `eval()`.
  """

  use_running_average: bool = True

  @property
  def trains(self) -> bool:
    """Whether this part is in training."""
    return not self.use_running_average

  def set_view(self, use_running_average: bool | None = None) -> None:
    """Lets `nnx.view(model, use_running_average=...)` reach this part."""
    if use_running_average is not None:
      self.use_running_average = use_running_average


class BatchNorm(BatchModeAware, nnx.BatchNorm):
  """Batch normalization whose choice of statistics follows the mode.

  Args:
    features: the last axis.
    use_running_average: if False, the module starts in training.
    **options: as in `nnx.BatchNorm`.
  """

  def __init__(
    self, features: int, *, use_running_average: bool = True, **options: Any
  ):
    super().__init__(
      features, use_running_average=use_running_average, **options
    )

  def __call__(self, x: jax.Array, mode: Mode | None = None) -> jax.Array:
    """`[..., features] -> [..., features]`."""
    train = mode_of(self, mode).train
    with jax.named_scope("batch_norm"):
      y = super().__call__(x, use_running_average=not train)
      return (
        warn_if_differentiated("the batch norm", y)
        if mode is None and not train
        else y
      )


@registry.register("norm", "batch")
def batch_norm(
  features: int,
  *,
  momentum: Real(0, 1) = 0.9,
  epsilon: Real(0, 1) = 1e-5,
  use_scale: bool = True,
  use_bias: bool = True,
  dtype: Any = None,
  rngs: nnx.Rngs,
) -> BatchNorm:
  """Batch normalization (Ioffe and Szegedy 2015, arXiv:1502.03167).

  Args:
    features: channels, the last axis.
    momentum: share of the old value in the running statistics.
    epsilon: added to variances, inside the root.
    use_scale, use_bias: whether it has a factor and an offset.
    dtype: of the computation.
    rngs: random numbers.
  """
  return BatchNorm(
    features,
    momentum=momentum,
    epsilon=epsilon,
    use_scale=use_scale,
    use_bias=use_bias,
    dtype=dtype,
    rngs=rngs,
  )


@registry.register("norm", "batch_channel")
class BatchChannelNorm(BatchModeAware):
  """Batch normalization, then normalization of groups of channels.

  Rethinking Normalization and Elimination Singularity in Neural Networks, Qiao
  et al. 2019, arXiv:1911.09738. The second step standardizes each example over
  positions and the channels of a group (biased variance). Unlike group
  normalization it has one factor and one offset *per group*.

  With `statistics="estimate"` (for micro-batches) the first step uses running
  estimates in training too. They are first updated with `speed`, and not
  differentiated:
  `m' = (1 - s) m + s mean(x)`, `v' = (1 - s) v + s mean((x - m)^2)`.

  Args:
    features: channels, the last axis.
    groups: of consecutive channels; by default 32, as in the released code, or
      one for each channel if there are fewer.
    statistics: `"batch"` or `"estimate"`.
    momentum: share of the old value in the running statistics (`"batch"`).
    speed: `s` above (`"estimate"`); 0 freezes the estimates.
    epsilon: added to variances, inside the root.

  Raises:
    ValueError: unknown statistics, or groups that do not divide the channels.
  """

  @checked
  def __init__(
    self,
    features: int,
    *,
    groups: int | None = None,
    statistics: hyper.Text() = "batch",
    momentum: Real(0, 1) = 0.9,
    speed: Real(0, 1) = 0.1,
    epsilon: Real(0, 1) = 1e-5,
  ):
    if statistics not in STATISTICS:
      raise registry.unknown("statistics", statistics, STATISTICS)
    groups = min(GROUPS, features) if groups is None else groups
    if features % groups:
      raise ValueError(
        f"`groups` must divide the channels: got {groups} for {features}."
      )
    self.scale = nnx.Param(jnp.ones((features,)))
    self.bias = nnx.Param(jnp.zeros((features,)))
    self.group_scale = nnx.Param(jnp.ones((groups,)))
    self.group_bias = nnx.Param(jnp.zeros((groups,)))
    self.mean = nnx.BatchStat(jnp.zeros((features,)))
    self.var = nnx.BatchStat(jnp.ones((features,)))
    self.groups, self.statistics = groups, statistics
    self.momentum, self.speed, self.epsilon = momentum, speed, epsilon

  def __call__(self, x: jax.Array, mode: Mode | None = None) -> jax.Array:
    """`[N, ..., features] -> [N, ..., features]`."""
    with jax.named_scope("batch_channel_norm"):
      wide = x.astype(jnp.promote_types(x.dtype, jnp.float32))
      train = mode_of(self, mode).train
      mean, var = self._statistics(wide, train)
      y = (wide - mean) * lax.rsqrt(var + self.epsilon)
      y = self._channel_norm(y * self.scale[...] + self.bias[...])
      y = y.astype(x.dtype)
      return (
        warn_if_differentiated("the batch norm", y)
        if mode is None and not train
        else y
      )

  def _statistics(self, x, train: bool):
    """Mean and variance of the first step; updates the running ones."""
    mean, var = self.mean[...], self.var[...]
    if not train:
      return mean, var
    axes = tuple(range(x.ndim - 1))
    if self.statistics == "estimate":
      x, s = lax.stop_gradient(x), self.speed
      spread = jnp.mean(jnp.square(x - mean), axes)
      mean = (1 - s) * mean + s * jnp.mean(x, axes)
      var = (1 - s) * var + s * spread
      self.mean[...], self.var[...] = mean, var
      return mean, var
    now, spread = jnp.mean(x, axes), jnp.var(x, axes)
    count = x.size // x.shape[-1]
    unbiased = spread * (count / max(count - 1, 1))
    keep = self.momentum
    self.mean[...] = keep * mean + (1 - keep) * lax.stop_gradient(now)
    self.var[...] = keep * var + (1 - keep) * lax.stop_gradient(unbiased)
    return now, spread

  def _channel_norm(self, y):
    grouped = y.reshape(*y.shape[:-1], self.groups, -1)
    axes = (*range(1, y.ndim - 1), y.ndim)  # positions, channels of a group
    mean = jnp.mean(grouped, axes, keepdims=True)
    var = jnp.var(grouped, axes, keepdims=True)
    z = (grouped - mean) * lax.rsqrt(var + self.epsilon)
    scale, bias = self.group_scale[...][:, None], self.group_bias[...][:, None]
    return (scale * z + bias).reshape(y.shape)


def make(
  text: str, features: int, *, rngs: nnx.Rngs, dtype: Any = None, **options: Any
) -> nnx.Module:
  """Builds a norm from `"name(k=v)"`, e.g. `"batch_channel(groups=8)"`.

  Args:
    text: a name of `bnnjax list norm`, with options that come before `options`.
    features: channels.
    rngs: random numbers.
    dtype: of the computation, for a norm that has one.
    **options: of the norm.

  Raises:
    ValueError: unknown name or option, bad syntax, or an impossible value.
  """
  norm, pairs = spec.part("norm", text, text)
  name = spec.name_of(text)
  known = hyper.as_defaults(registry.accepts("norm", name))
  what = f"norm {name!r}"
  given = registry.check_values(what, known, {**options, **dict(pairs)})
  if "dtype" in known:
    given = {"dtype": dtype, **given}
  if "rngs" in signature.of(norm):
    given["rngs"] = rngs
  return norm(features, **given)


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
