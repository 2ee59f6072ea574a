"""Transforms of the latent tensor before binarization.

A transform is a differentiable function of the tensor, and of trained
parameters if it has some. `channel` means the last axis (output channels of a
kernel, features of an activation).
"""

import dataclasses
import math
from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp

from bnnjax import deprecated
from bnnjax.core import registry
from bnnjax.core.bits import ROLES
from bnnjax.core.decorators import decorate
from bnnjax.core.hyper import FACTOR, Choice, Real
from bnnjax.core.progress import DEPLOYED, Mode

Variables = dict[str, jax.Array]
Learn = Callable[..., tuple[Variables, Variables]]


@dataclasses.dataclass(frozen=True)
class Transform(registry.Pickled, kind="transform"):
  """A registered transform.

  Attributes:
    name: as registered.
    function: `(x, params, stats, mode, **hp) -> (x, stats)`.
    init: `(x, **hp) -> (params, stats)`; `x` may be abstract.
    data_events: by name, loop events that set its variables from a tensor:
      `(x, params, stats, mode, **hp) -> (params, stats)`.
    roles: `"weight"`, `"act"` or both: the tensors that it is made for.
    defaults: hyper-parameters and their defaults.
  """

  name: str
  function: Callable[..., tuple[jax.Array, Variables]]
  init: Callable[..., tuple[Variables, Variables]] | None = None
  data_events: Mapping[str, Learn] = dataclasses.field(
    default_factory=dict, hash=False
  )
  roles: tuple[str, ...] = ROLES
  defaults: Mapping[str, Any] = dataclasses.field(
    default_factory=dict, hash=False
  )
  __doc__: str | None = dataclasses.field(default=None, hash=False)

  def apply(
    self,
    x: jax.Array,
    params: Variables | None = None,
    stats: Variables | None = None,
    mode: Mode = DEPLOYED,
    **hp: Any,
  ) -> tuple[jax.Array, Variables]:
    """The transformed tensor, dtype of `x`, and new statistics."""
    y, stats = self.function(x, params or {}, stats or {}, mode, **hp)
    return y.astype(x.dtype), stats

  def __call__(self, x: jax.Array, **hp: Any) -> jax.Array:
    """The transformed tensor, for transforms without parameters."""
    return self.apply(x, **hp)[0]


@deprecated.renamed_keyword("learns", "data_events")
def transform(
  named: Callable[..., Any] | str | None = None,
  /,
  *,
  init: Callable[..., tuple[Variables, Variables]] | None = None,
  data_events: Mapping[str, Learn] | None = None,
  roles: tuple[str, ...] = ROLES,
) -> Any:
  """Registers a transform.

  The decorated function is `f(x, *, hp=default)` and returns the tensor, or,
  with `init`, `f(x, params, stats, mode, *, hp=default)` and returns the tensor
  and the new statistics. The options are fields of `Transform`; the name may
  come first, see `core.decorators`.
  """

  def make(function, name):
    def plain(x, params, stats, mode, **hp):
      del params, mode
      return function(x, **hp), stats

    made = Transform(
      name,
      plain if init is None else function,
      init,
      data_events or {},
      roles,
      registry.defaults_of(function),
      function.__doc__,
    )
    return registry.register("transform", name, origin=function)(made)

  return decorate(make, named)


def no_variables(x, **_) -> tuple[Variables, Variables]:
  """`init` of a transform that depends on the mode but has no variables."""
  del x
  return {}, {}


OVER = {
  "channel": lambda ndim: tuple(range(ndim - 1)),
  "token": lambda ndim: (ndim - 1,),
  "tensor": lambda ndim: tuple(range(ndim)),
}


@transform
def center(
  x: jax.Array, *, per: Choice(tuple(OVER)) = "channel", detach: bool = False
) -> jax.Array:
  """Subtracts a mean; signs of mean zero carry most information.

  Args:
    x: latent tensor `[..., C]`.
    per: one mean per `"channel"` (last axis), per `"token"` (row of the last
      axis, as in an embedding) or for the whole `"tensor"`.
    detach: whether the mean is not differentiated: `dx = dy` (BiPFT, BitNet).
  """
  mean = jnp.mean(x, axis=OVER[per](x.ndim), keepdims=True)
  return x - (jax.lax.stop_gradient(mean) if detach else mean)


DEAD = 1e-5  # least `eps` of a constant channel
VARIANCE = Real(1e-12, 1)  # float32 holds its power of -3/2


@transform
def standardize(
  x: jax.Array, *, gain: FACTOR = 1.0, eps: VARIANCE = 1e-5
) -> jax.Array:
  """Zero mean and standard deviation `gain` for each output channel.

  `gain (x - mean) / sqrt(var + eps)` with the unbiased variance, all of it
  differentiated. The defaults are Weight Standardization (1903.10520); IR-Net
  (1909.10788) has no `eps`, ReCU (2103.12369) has `gain = sqrt(8)`. A constant
  channel gives zeros and finite gradients.

  Args:
    x: latent weights `[..., C]`, output channels last.
    gain: factor of the result.
    eps: added to the variance, inside the root.
  """
  u = center(x.astype(_wide(x)))
  axes = tuple(range(x.ndim - 1))
  variance = _variance(u, axes)
  if isinstance(eps, float) and eps < DEAD:
    # The variance of a constant channel is a rounding error, and its gradient
    # would be as large as 1 / sqrt(eps), more than float16 holds.
    rounding = (8 * jnp.finfo(u.dtype).eps) ** 2
    square = jnp.mean(jnp.square(x.astype(u.dtype)), axes, keepdims=True)
    eps = jnp.where(variance <= rounding * square, DEAD, eps)
  return gain * u * jax.lax.rsqrt(variance + eps)


def _unit_std(x, mode, axes, eps):
  if not mode.train:
    return x
  x = x.astype(_wide(x))
  u = x - jnp.mean(x, axes, keepdims=True)
  return x * jax.lax.rsqrt(_variance(u, axes) + eps)


@transform(init=no_variables)
def example_std(x, params, stats, mode, *, eps: VARIANCE = 1e-5):
  """Divides each example by its standard deviation, in training only.

  `x / sqrt(var + eps)` with the unbiased variance over all axes but the first;
  the mean stays, and all is differentiated (activations of ReCU, 2103.12369,
  and BiPer, 2404.01278). The deployed network omits it: the sign does not
  change.
  """
  del params
  return _unit_std(x, mode, tuple(range(1, x.ndim)), eps), stats


@transform(init=no_variables)
def token_std(x, params, stats, mode, *, eps: VARIANCE = 1e-5):
  """Like `example_std`, over the features alone (linear layers of BiBench)."""
  del params
  return _unit_std(x, mode, (x.ndim - 1,), eps), stats


def _wide(x):
  return jnp.promote_types(x.dtype, jnp.float32)


def _variance(u, axes):
  """Unbiased variance of centred numbers."""
  count = math.prod(u.shape[axis] for axis in axes)
  return jnp.sum(jnp.square(u), axes, keepdims=True) / max(count - 1, 1)


def shifted(x: jax.Array, shift: jax.Array) -> jax.Array:
  """`x + shift`, dtype of `x`; before a sign it is RSign (ReActNet, eq. 4).

  Args:
    x: `[..., C]`.
    shift: one number per channel, `[C]` or `[1, ..., C]`; the threshold of
      RSign is `-shift`.
  """
  return (x + shift).astype(x.dtype)


def _shift_init(x, **_):
  shape = (1,) * (len(x.shape) - 1) + (x.shape[-1],)
  return {"shift": jnp.zeros(shape, jnp.float32)}, {}


@transform(init=_shift_init)
def shift(x, params, stats, mode):
  """Adds a trained number to each channel, 0 at the start.

  Before a sign this is RSign (ReActNet, 2003.03488, eq. 4).
  """
  del mode
  return shifted(x, params["shift"]), stats
