"""Scales: the float factors of low-bit values.

A scale measures a tensor (mean magnitude, maximum) over some of its axes, or is
learned, fixed, or calibrated from batches. `channel` means the last axis: the
output channels of a kernel `[..., in, out]`, the features of an activation.

For a grid of more than one bit the measure is a *bound*; the estimator turns it
into the step of its grid (`Estimator.step`).
"""

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp

from bnnjax import deprecated
from bnnjax.core import registry
from bnnjax.core.bits import ROLES
from bnnjax.core.decorators import decorate
from bnnjax.core.hyper import FACTOR, Choice, Either, Whole

GRADIENTS = ("none", "multiply", "full", "estimator")
Variables = dict[str, jax.Array]
Learn = Callable[..., tuple[Variables, Variables]]


@dataclasses.dataclass(frozen=True)
class Measured:
  """What a scale says of one tensor.

  Attributes:
    scale: broadcasts against the tensor (group scales: see `Term`).
    stats: new statistics.
    ready: whether the tensor may be quantized yet; `True` or a traced bool.
    shift: added to `scale * value`, broadcasts against the tensor; or `None`.
  """

  scale: jax.Array
  stats: Variables = dataclasses.field(default_factory=dict)
  ready: jax.Array | bool = True
  shift: jax.Array | None = None


@dataclasses.dataclass(frozen=True)
class Scale:
  """A registered scale.

  Attributes:
    name: as registered.
    measure: `(x, params, stats, mode, **hp) -> Measured`.
    init: `(x, **hp) -> (params, stats)`; `x` may be abstract.
    gradient: default of the option of that name (`Binarizer.gradient`).
    group: `(**hp) -> int`, elements of a group along the contracted axis.
    events: loop events that change its statistics: `stats -> stats` by name.
    learns: loop events at which it sets its variables from the tensor:
      `(x, params, stats, mode, **hp) -> (params, stats)` by name.
    roles: `"weight"`, `"act"` or both: the tensors that it is made for.
    defaults: hyper-parameters and their defaults.
  """

  name: str
  measure: Callable[..., Measured]
  init: Callable[..., tuple[Variables, Variables]] | None = None
  gradient: str = "none"
  group: Callable[..., int] | None = None
  events: Mapping[str, Callable[[Variables], Variables]] = dataclasses.field(
    default_factory=dict, hash=False
  )
  learns: Mapping[str, Learn] = dataclasses.field(
    default_factory=dict, hash=False
  )
  roles: tuple[str, ...] = ROLES
  defaults: Mapping[str, Any] = dataclasses.field(
    default_factory=dict, hash=False
  )
  __doc__: str | None = dataclasses.field(default=None, hash=False)


def scale(
  named: Callable[..., Any] | str | None = None,
  /,
  *,
  init: Callable[..., tuple[Variables, Variables]] | None = None,
  gradient: str = "none",
  group: Callable[..., int] | None = None,
  events: Mapping[str, Callable[[Variables], Variables]] | None = None,
  learns: Mapping[str, Learn] | None = None,
  roles: tuple[str, ...] = ROLES,
) -> Any:
  """Registers a scale.

  The decorated function is `f(x, *, hp=default)` returning the factor, or, with
  `init`, `f(x, params, stats, mode, *, hp=default)` returning `Measured`; the
  options are the fields of `Scale`, and a name may stand first, see
  `core.decorators`.
  """

  def make(function, name):
    def plain(x, params, stats, mode, **hp):
      del params, mode
      return Measured(function(x, **hp), stats)

    made = Scale(
      name,
      plain if init is None else function,
      init,
      gradient,
      group,
      events or {},
      learns or {},
      roles,
      registry.defaults_of(function),
      function.__doc__,
    )
    return registry.register("scale", name, origin=function)(made)

  return decorate(make, named)


def of_masked(
  measure: Callable[[jax.Array], jax.Array], x: jax.Array, mask: jax.Array
) -> jax.Array:
  """A measure of the elements under a mask alone.

  A mean (or maximum) of magnitudes over them is that of `x * mask` over that of
  the mask itself: with mask (1, 0), |x| = (3, 5): (3 / 2) / (1 / 2) = 3. That of
  ones, 1, leaves a constant as it is.

  Args:
    measure: of a tensor like `x`.
    x: `[...]`.
    mask: {0, 1}, broadcasts against `x`.
  """
  mask = jnp.broadcast_to(mask, x.shape).astype(x.dtype)
  share, whole = measure(mask), measure(jnp.ones_like(mask))
  return measure(x * mask) * (whole / jnp.where(share > 0, share, 1))


def magnitude(x: jax.Array, how: str, axes: tuple[int, ...], pow2: bool):
  """Mean or maximum of |x| over `axes`, optionally rounded to 2^k."""
  x = x.astype(jnp.promote_types(x.dtype, jnp.float32))
  # The derivative of |x| at 0 is then 0, the middle of its subgradients, where
  # that of `jnp.abs` is 1.
  x = x * jax.lax.stop_gradient(jnp.sign(x))
  reduce = {"l1": jnp.mean, "max": jnp.max}[how]
  s = reduce(x, axis=axes, keepdims=True)
  if pow2:
    # A bound is rounded up so that nothing is clipped, a mean to the nearest.
    turn = jnp.ceil if how == "max" else jnp.round
    s = jnp.where(s == 0, 0, jnp.exp2(turn(jnp.log2(jnp.where(s == 0, 1, s)))))
  return s


def _all(x):
  return tuple(range(x.ndim))


@scale()
def tensor_l1(x, *, pow2=False):
  """Mean magnitude of the whole tensor (DoReFa-Net); `pow2`: nearest 2^k."""
  return magnitude(x, "l1", _all(x), pow2)


@scale()
def tensor_max(x, *, pow2=False):
  """Largest magnitude of the whole tensor; `pow2`: next 2^k above."""
  return magnitude(x, "max", _all(x), pow2)


@scale()
def channel_l1(x, *, pow2=False):
  """Mean magnitude of each output channel (XNOR-Net, 1603.05279, eq. 6).

  The L2-optimal scale of sign(w): `argmin_s ||w - s sign(w)||^2`.

  Args:
    x: latent weights `[..., C]`, output channels last.
    pow2: round to the nearest power of two.

  Returns:
    `[1, ..., C]`. Zero channels give zero.
  """
  return magnitude(x, "l1", _all(x)[:-1], pow2)


@scale()
def channel_max(x, *, pow2=False):
  """Largest magnitude of each output channel; `pow2`: next 2^k above."""
  return magnitude(x, "max", _all(x)[:-1], pow2)


@scale()
def token_l1(x, *, pow2=False):
  """Mean magnitude over the features, one scale a token (XNOR-Net, linear)."""
  return magnitude(x, "l1", (x.ndim - 1,), pow2)


@scale()
def token_max(x, *, pow2=False):
  """Largest magnitude over the features, one bound a token (BitNet b1.58)."""
  return magnitude(x, "max", (x.ndim - 1,), pow2)


@scale()
def example_l1(x, *, pow2=False):
  """Mean magnitude of each example, all axes but the first.

  The activation scale of XNOR-Net (1603.05279, eq. 10) averaged over pixels, as
  BiBench has it: it leaves the convolution as a factor.
  """
  return magnitude(x, "l1", _all(x)[1:], pow2)


def _check_groups(x, size):
  if len(x.shape) != 2 or x.shape[0] % size:
    raise ValueError(
      "Group scales need a kernel [in, out] whose `in` is a multiple of the"
      f" group size: got shape {x.shape} and size {size}."
    )


def _group_magnitude(x, how, size, pow2):
  _check_groups(x, size)
  grouped = x.reshape(-1, size, x.shape[-1])
  return magnitude(grouped, how, (1,), pow2)[:, 0]


def _group_size(size=128, **_):
  return size


def _group_init(x, *, size=128, **_):
  # No variables: the shape is looked at when a layer is built.
  _check_groups(x, size)
  return {}, {}


@scale(init=_group_init, group=_group_size, roles=("weight",))
def group_l1(x, params, stats, mode, *, size: Whole(1) = 128, pow2=False):
  """Mean magnitude per output and group of `size` inputs.

  Args:
    x: kernel `[in, out]`, `in` a multiple of `size`.
    size: consecutive inputs that share a scale.
    pow2: round to the nearest power of two.

  Returns:
    `[in / size, out]`.

  Raises:
    ValueError: a kernel of another rank, or a size that does not divide `in`.
  """
  del params, mode
  return Measured(_group_magnitude(x, "l1", size, pow2), stats)


@scale(init=_group_init, group=_group_size, roles=("weight",))
def group_max(x, params, stats, mode, *, size: Whole(1) = 128, pow2=False):
  """Largest magnitude per output and group of `size` inputs; see `group_l1`."""
  del params, mode
  return Measured(_group_magnitude(x, "max", size, pow2), stats)


_KEPT = {"tensor": (), "channel": (-1,), "input": (-2,)}


def _learned_init(x, *, axes="channel", init="l1"):
  kept, abstract = _KEPT, isinstance(x, jax.ShapeDtypeStruct)
  if abstract and axes == "input":
    raise ValueError(
      "The inputs of an activation are its last axis: `learned(axes='channel')`."
    )
  over = tuple(
    i for i in range(len(x.shape)) if i - len(x.shape) not in kept[axes]
  )
  if isinstance(init, (int, float)):
    shape = tuple(1 if i in over else n for i, n in enumerate(x.shape))
    return {"scale": jnp.full(shape, init, jnp.float32)}, {}
  if abstract:
    raise ValueError(
      "The scale of an activation has no tensor to start from: give a number,"
      " e.g. `learned(init=1.0)`."
    )
  return {"scale": magnitude(x, init, over, False)}, {}


@scale(init=_learned_init, gradient="full")
def learned(
  x,
  params,
  stats,
  mode,
  *,
  axes: Choice(tuple(_KEPT)) = "channel",
  init: Either(FACTOR, Choice(("l1", "max"))) = "l1",
):
  """A trained scale: `y = s sign(x)`, gradients to `s` and, times `s`, to `x`.

  Args:
    axes: `"tensor"`, `"channel"` (last axis) or `"input"` (last but one).
    init: a number, or `"l1"` / `"max"` of the weights at the start.
  """
  del x, mode, axes, init
  return Measured(params["scale"], stats)


@scale()
def fixed(x, *, value: FACTOR = 1.0):
  """A constant scale or bound."""
  del x
  return jnp.asarray(value, jnp.float32)


__getattr__ = deprecated.old_names(
  __name__, {"ema_bound": "bnnjax.methods.aqt.ema_bound"}
)
