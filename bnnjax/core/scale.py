"""Scales: the float factors of low-bit values.

A scale measures a tensor (mean magnitude, maximum) over some of its axes, or is
learned or fixed. `channel` means the last axis: the output channels of a kernel
`[..., in, out]`, the features of an activation.

For a grid of more than one bit the scale measures a *bound*, which the
estimator turns into the step of its grid (`Estimator.step`).
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
from bnnjax.core.hyper import FACTOR
from bnnjax.core.progress import Mode

GRADIENTS = ("none", "multiply", "full", "estimator")
Variables = dict[str, jax.Array]
Init = Callable[..., tuple[Variables, Variables]]
Event = Callable[[Variables], Variables]
DataEvent = Callable[..., tuple[Variables, Variables]]


@dataclasses.dataclass(frozen=True)
class Measured:
  """What a scale measures of one tensor.

  Attributes:
    scale: broadcasts against the tensor (group scales: see `Term`).
    stats: new statistics.
    ready: whether the tensor may be quantized yet: `True` or a traced bool.
    shift: added to `scale * value`, broadcasts against the tensor; or `None`.
  """

  scale: jax.Array
  stats: Variables = dataclasses.field(default_factory=dict)
  ready: jax.Array | bool = True
  shift: jax.Array | None = None


def _table() -> Any:
  return dataclasses.field(default_factory=dict, hash=False)


@dataclasses.dataclass(frozen=True)
class Scale(registry.Pickled, kind="scale"):
  """A registered scale.

  Attributes:
    name: as registered.
    measure: `(x, params, stats, mode, **hp) -> Measured`.
    init: `(x, **hp) -> (params, stats)`; `x` may be abstract.
    draws: `(**hp) -> bool`, whether `init` draws random numbers, for which it
      takes `key`.
    gradient: default of the option of that name (`Binarizer.gradient`).
    group: `(**hp) -> int`, elements of a group along the contracted axis.
    events: by name, loop events that change its statistics: `stats -> stats`.
    data_events: by name, loop events that set its variables from a tensor:
      `(x, params, stats, mode, **hp) -> (params, stats)`.
    roles: `"weight"`, `"act"` or both: the tensors that it is made for.
    defaults: hyper-parameters and their defaults.
  """

  name: str
  measure: Callable[..., Measured]
  init: Init | None = None
  draws: Callable[..., bool] | None = None
  gradient: str = "none"
  group: Callable[..., int] | None = None
  events: Mapping[str, Event] = _table()
  data_events: Mapping[str, DataEvent] = _table()
  roles: tuple[str, ...] = ROLES
  defaults: Mapping[str, Any] = _table()
  __doc__: str | None = dataclasses.field(default=None, hash=False)

  def is_random(self, hp: Mapping[str, Any]) -> bool:
    """Whether it starts at random numbers."""
    return self.draws is not None and self.draws(**hp)

  def initial(
    self, x, key: jax.Array, hp: Mapping[str, Any]
  ) -> tuple[Variables, Variables]:
    """Parameters and statistics for a tensor; `key` if they are random."""
    if not self.is_random(hp):
      return self.init(x, **hp)
    # The estimator may draw from the same key.
    return self.init(x, key=jax.random.fold_in(key, 1), **hp)

  def measured(self, x, params, stats, mode: Mode, mask, hp) -> Measured:
    """The measurement of `x`, or of the elements that a mask keeps.

    Raises:
      ValueError: a mask with a scale that rounds what it measures.
    """
    trained = self.init is not None and self.group is None
    if mask is None or trained:
      return self.measure(x, params, stats, mode, **hp)
    if hp.get("pow2"):
      raise ValueError(
        f"The scale {self.name!r} with `pow2` rounds what it measures, which is"
        " not defined under a mask: leave out `pow2`."
      )
    measure = lambda x: self.measure(x, {}, stats, mode, **hp).scale  # noqa: E731
    return Measured(of_masked(measure, x, mask), stats)


@deprecated.renamed_keyword("learns", "data_events")
def scale(
  named: Callable[..., Any] | str | None = None,
  /,
  *,
  init: Init | None = None,
  draws: Callable[..., bool] | None = None,
  gradient: str = "none",
  group: Callable[..., int] | None = None,
  events: Mapping[str, Event] | None = None,
  data_events: Mapping[str, DataEvent] | None = None,
  roles: tuple[str, ...] = ROLES,
) -> Any:
  """Registers a scale.

  The decorated function is `f(x, *, hp=default)` and returns the factor, or,
  with `init`, `f(x, params, stats, mode, *, hp=default)` and returns
  `Measured`. The options are fields of `Scale`; the name may come first, see
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
      draws,
      gradient,
      group,
      events or {},
      data_events or {},
      roles,
      registry.defaults_of(function),
      function.__doc__,
    )
    return registry.register("scale", name, origin=function)(made)

  return decorate(make, named)


def of_masked(
  measure: Callable[[jax.Array], jax.Array], x: jax.Array, mask: jax.Array
) -> jax.Array:
  """A measure of the elements that a mask keeps.

  A mean (or maximum) of magnitudes under a mask is that of `x * mask` divided
  by that of the mask itself: with mask (1, 0) and |x| = (3, 5), (3 / 2) / (1 /
  2) is 3. The factor of ones, here 1, keeps a constant scale as it is.

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
  # So the derivative of |x| at 0 is 0, the middle of its subgradients; that of
  # `jnp.abs` is 1.
  x = x * jax.lax.stop_gradient(jnp.sign(x))
  reduce = {"l1": jnp.mean, "max": jnp.max}[how]
  s = reduce(x, axis=axes, keepdims=True)
  if pow2:
    # A bound is rounded up, so that nothing is clipped; a mean to the nearest.
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
  """Mean magnitude of each token over its features (XNOR-Net, linear)."""
  return magnitude(x, "l1", (x.ndim - 1,), pow2)


@scale()
def token_max(x, *, pow2=False):
  """Largest magnitude of each token over its features (BitNet b1.58)."""
  return magnitude(x, "max", (x.ndim - 1,), pow2)


@scale()
def example_l1(x, *, pow2=False):
  """Mean magnitude of each example, over all axes but the first.

  The activation scale of XNOR-Net (1603.05279, eq. 10) averaged over pixels, as
  in BiBench: it is a factor of the convolution's output.
  """
  return magnitude(x, "l1", _all(x)[1:], pow2)


@scale()
def fixed(x, *, value: FACTOR = 1.0):
  """A constant scale or bound."""
  del x
  return jnp.asarray(value, jnp.float32)


__getattr__ = deprecated.old_names(
  __name__,
  {
    "ema_bound": "bnnjax.methods.aqt.ema_bound",
    "learned": "bnnjax.core.learned_scale.learned",
  },
)
