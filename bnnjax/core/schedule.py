"""Schedules: hyper-parameters that follow the progress of a run.

A spec may give a schedule in the place of a number:
`"ede(t=geometric(start=0.1, end=10.0))"`. Training evaluates it at the current
`Progress` (traced, so that nothing is compiled twice); the deployed network
uses its end. `f` below is the fraction of the run, 0 to 1.
"""

import dataclasses
import functools
from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp

from bnnjax.core import registry
from bnnjax.core.hyper import POSITIVE, Real, Refused, Whole
from bnnjax.core.progress import Mode, Progress, to_step

SPAN = Real(-1e6, 1e6)  # a sum of ends farther apart loses the smaller
COUNT = Whole(-1000, 1000)  # its product with the steps of a run fits an int32


@dataclasses.dataclass(frozen=True)
class Time:
  """Rule for a time, see `progress.to_step`."""

  def read(self, value: Any) -> Any:
    """The value; raises `Refused`."""
    try:
      step = to_step(value, 1)
    except (TypeError, ValueError):
      raise Refused from None
    if step > 2**31 - 1:
      raise Refused
    return value

  def __str__(self) -> str:
    return "a step >= 0 or a fraction of the run in [0, 1]"


@dataclasses.dataclass(frozen=True)
class Schedule:
  """A registered schedule and its hyper-parameters' defaults."""

  name: str
  function: Callable[..., jax.Array]
  defaults: Mapping[str, Any] = dataclasses.field(hash=False)
  __doc__: str | None = dataclasses.field(default=None, hash=False)

  def __call__(self, progress: Progress, **hp: Any) -> jax.Array:
    return self.function(progress, **hp)


@dataclasses.dataclass(frozen=True, repr=False)
class Annealed:
  """A schedule with its hyper-parameters, in the place of a number."""

  schedule: Schedule
  hp: tuple[tuple[str, Any], ...] = ()

  def __post_init__(self):
    read = registry.check_hyper("schedule", self.schedule, dict(self.hp))
    object.__setattr__(self, "hp", tuple(read.items()))

  def __repr__(self) -> str:
    """As written in a spec; messages quote it."""
    hp = ", ".join(f"{key}={value!r}" for key, value in self.hp)
    return f"{self.schedule.name}({hp})"

  @property
  def ends(self) -> tuple[float, float]:
    """The values at the start and at the end of a run."""
    return _value_at(self, 0), _value_at(self, 1)

  def at(self, mode: Mode) -> "jax.Array | float":
    """The value for this mode: an array in training, a float when deployed.

    Raises:
      ValueError: training without a progress.
    """
    if mode.deployed:
      return _value_at(self, 1)
    why = f"A hyper-parameter follows the schedule {self.schedule.name!r}"
    value = self.schedule(mode.position(why), **dict(self.hp))
    return jnp.asarray(value, jnp.float32)


@functools.cache
def _value_at(annealed: Annealed, step: int) -> float:
  """The value at a step of a run of one step."""
  with jax.ensure_compile_time_eval():
    progress = Progress.at(step, 1, 1.0)
    return float(annealed.schedule(progress, **dict(annealed.hp)))


def resolve(
  hp: Mapping[str, Any] | tuple[tuple[str, Any], ...], mode: Mode
) -> dict[str, Any]:
  """Hyper-parameters with each schedule replaced by its value."""
  return {
    k: v.at(mode) if isinstance(v, Annealed) else v for k, v in dict(hp).items()
  }


def schedule(function: Callable[..., jax.Array]) -> Schedule:
  """Registers `function(progress, *, hp=default)` as a schedule."""
  made = Schedule(
    function.__name__,
    function,
    registry.defaults_of(function),
    function.__doc__,
  )
  return registry.register("schedule", made.name, origin=function)(made)


@schedule
def linear(progress, *, start: SPAN = 0.0, end: SPAN = 1.0):
  """`start + f (end - start)`."""
  return start + progress.fraction * (end - start)


@schedule
def geometric(progress, *, start: POSITIVE = 0.1, end: POSITIVE = 10.0):
  """`start (end / start)^f`, a straight line in the logarithm."""
  return start * (end / start) ** progress.fraction


@schedule
def exponential(progress, *, start: SPAN = 0.0, end: SPAN = 1.0):
  """`start + (end - start) (exp(f) - 1) / (exp(1) - 1)`."""
  return start + (end - start) * jnp.expm1(progress.fraction) / jnp.expm1(1.0)


@schedule
def cosine(
  progress, *, start: SPAN = 1.0, end: SPAN = 0.0, ahead: Real(0) = 0.0
):
  """`end + (start - end) (1 + cos(pi f)) / 2`, flat at both ends.

  Args:
    ahead: epochs by which the schedule runs ahead of the progress: it ends
      before the last epoch, as in codes that count epochs from 1.
  """
  f = jnp.minimum((progress.epoch + ahead) / progress.epochs, 1.0)
  return end + (start - end) * (1 + jnp.cos(jnp.pi * f)) / 2


@schedule
def quarter_cosine(progress, *, start: SPAN = 0.0, end: SPAN = 1.0):
  """`start + (end - start) (1 - cos(pi f / 2))`, flat at the start only."""
  f = progress.fraction
  return start + (end - start) * (1 - jnp.cos(jnp.pi / 2 * f))


@schedule
def staircase(progress, *, start: COUNT = 0, end: COUNT = 1):
  """`start + floor(f (end - start))`: whole numbers, equal stretches."""
  span = end - start
  return start + (span * progress.step) // progress.steps


@schedule
def switch(progress, *, at: Time() = 0.5, before=0.0, after=1.0):
  """`before` until the time `at` (fraction or step), then `after`.

  With `at=1.0` only the deployed network has the second value.
  """
  # The end of a run is after every step, whatever its length.
  done = progress.step >= progress.steps
  return jnp.where(progress.reached(at) | done, after, before)
