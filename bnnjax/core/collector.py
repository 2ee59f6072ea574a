"""Collectors: statistics of the tensors that enter contractions.

A collector is two pure functions: `init(shape)` makes an empty state, `update`
adds a tensor to it. `bnnjax.layers.collect` feeds it the inputs of a model's
layers; other code may call it, too. A state is a tree of arrays and does not
grow with the number of tensors: a pass over many batches needs the memory of
one.
"""

import dataclasses
import functools
from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp

from bnnjax.core import registry
from bnnjax.core import spec as spec_lib
from bnnjax.core.decorators import decorate
from bnnjax.core.hyper import Real
from bnnjax.core.schedule import Annealed

State = Any
RATE = Real(0, 1, above=True)


@dataclasses.dataclass(frozen=True)
class Collector:
  """Two pure functions over a state.

  Attributes:
    name: as registered.
    init: `(shape) -> state`, empty, for tensors of that shape.
    update: `(state, x) -> state`, of the same shapes and dtypes.
    rows: whether `x` is the left operand of the product, `[..., K]`: for a
      convolution its patches, in the order of the kernel's axes, not its input.
    defaults: hyper-parameters of `update` and their defaults.
  """

  name: str
  init: Callable[[tuple[int, ...]], State]
  update: Callable[[State, jax.Array], State]
  rows: bool = False
  defaults: Mapping[str, Any] = dataclasses.field(
    default_factory=dict, hash=False
  )
  __doc__: str | None = dataclasses.field(default=None, hash=False)


def collector(
  named: str | None = None,
  /,
  *,
  init: Callable[[tuple[int, ...]], State],
  rows: bool = False,
) -> Callable[[Callable[..., State]], Collector]:
  """Registers a collector.

  The decorated function is `update(state, x, *, hp=default)`. `init` and `rows`
  are fields of `Collector`; the name may come first, see `core.decorators`.

  Example:
    >>> @collector(init=lambda shape: jnp.zeros(()))
    ... def total(state, x):
    ...   return state + jnp.sum(x)
  """

  def make(function, name):
    defaults = registry.defaults_of(function)
    made = Collector(name, init, function, rows, defaults, function.__doc__)
    return registry.register("collector", name, origin=function)(made)

  return decorate(make, named)


def parse(spec: "str | Collector | None") -> Collector | None:
  """Reads `"gram"`, `"running_extremes(rate=0.5)"`, a collector, or `None`.

  Raises:
    ValueError: an unknown name or hyper-parameter, with the nearest one.
    TypeError: none of these types.
  """
  if spec is None or isinstance(spec, Collector):
    return spec
  if not isinstance(spec, str):
    raise TypeError(
      "A collector is a registered name, a Collector, or None where nothing is"
      f" collected: got {spec!r}."
    )
  made, given = spec_lib.part("collector", spec, spec)
  for name, value in given:
    if isinstance(value, Annealed):
      raise ValueError(
        f"A collector has no progress: `{name}` in {spec!r} must be a number,"
        " not a schedule."
      )
  if not given:
    return made
  given = registry.check_hyper("collector", made, dict(given))
  update = functools.partial(made.update, **given)
  return dataclasses.replace(made, update=update)


def _per_channel(*names, value=0.0):
  """An `init` of states with one number per entry of the last axis."""
  return lambda shape: {
    name: jnp.full(shape[-1:], value, jnp.float32) for name in names
  }


def _counted(init):
  """The same with a count of the rows."""
  return lambda shape: {**init(shape), "count": jnp.zeros((), jnp.int32)}


def _rows(x):
  """Merges all axes but the last, as float32; also returns the rows' number."""
  x = x.reshape(-1, x.shape[-1]).astype(jnp.float32)
  return x, x.shape[0]


@collector(
  init=_counted(
    lambda shape: {"gram": jnp.zeros((shape[-1], shape[-1]), jnp.float32)}
  ),
  rows=True,
)
def gram(state, x):
  """`X^T X` over all rows, and the number of rows.

  `2 / count` times it is the Hessian of `||X W - X V||^2 / count` with respect
  to a column of `V` (GPTQ, 2210.17323).

  Args:
    state: `gram [K, K]`, float32; `count`, int32.
    x: `[..., K]`, with all axes but the last as rows.
  """
  x, count = _rows(x)
  # TF32 and bfloat16 products would keep three digits of the Hessian.
  product = jnp.matmul(x.T, x, precision=jax.lax.Precision.HIGHEST)
  return {"gram": state["gram"] + product, "count": state["count"] + count}


@collector(init=_counted(_per_channel("sum", "magnitude", "square")))
def moments(state, x):
  """Sums of `x`, `|x|` and `x^2` over all axes but the last.

  Divided by `count`, the number of rows, they give the mean, the mean magnitude
  (AWQ, 2306.00978) and the mean square of each channel.

  Args:
    state: `sum`, `magnitude` and `square [C]`, float32; `count`, int32.
    x: `[..., C]`.
  """
  x, count = _rows(x)
  new = {"sum": x, "magnitude": jnp.abs(x), "square": jnp.square(x)}
  sums = {name: state[name] + jnp.sum(v, 0) for name, v in new.items()}
  return {**sums, "count": state["count"] + count}


def _no_extremes(shape):
  low = _per_channel("min", value=jnp.inf)(shape)
  return {**_per_channel("max", value=-jnp.inf)(shape), **low}


@collector(init=_no_extremes)
def extremes(state, x):
  """Largest and smallest number of each channel, -inf and inf at the start.

  Args:
    state: `max`, `min` `[C]`, float32.
    x: `[..., C]`.
  """
  x, _ = _rows(x)
  top = jnp.maximum(state["max"], jnp.max(x, 0, initial=-jnp.inf))
  low = jnp.minimum(state["min"], jnp.min(x, 0, initial=jnp.inf))
  return {"max": top, "min": low}


@collector(init=_per_channel("absmax"))
def absmax(state, x):
  """Largest magnitude of each channel (SmoothQuant, 2211.10438).

  Args:
    state: `absmax [C]`, float32.
    x: `[..., C]`.
  """
  x, _ = _rows(x)
  top = jnp.max(jnp.abs(x), 0, initial=0)
  return {"absmax": jnp.maximum(state["absmax"], top)}


@collector(init=_per_channel("max", "min"))
def running_extremes(state, x, *, rate: RATE = 0.1):
  """Moving averages of each tensor's extremes, without zeros (PokeBNN, AQT).

  `e <- e + rate (extreme - e)`, 0 at the start; a channel of zeros keeps its
  averages. The scale `ema_bound` updates them in training.

  Args:
    state: `max`, `min`, float32, with one number per channel.
    x: `[..., C]`.
    rate: share of a new tensor in the averages.
  """
  nonzero, axes = x != 0, tuple(range(x.ndim - 1))
  x = x.astype(jnp.float32)
  top = jnp.max(x, axes, keepdims=True, where=nonzero, initial=-jnp.inf)
  low = jnp.min(x, axes, keepdims=True, where=nonzero, initial=jnp.inf)
  seen = jnp.isfinite(top)  # False where a channel is all zeros

  def step(name, new):
    old = state[name]
    seen_, new = (t.reshape(old.shape) for t in (seen, new))
    return old + rate * jnp.where(seen_, new - old, 0)

  return {"max": step("max", top), "min": step("min", low)}
