"""What the loop keeps between two log lines: metrics, and the time."""

import dataclasses
import time
from typing import Any

import jax
import numpy as np
from ml_collections import ConfigDict


@dataclasses.dataclass(frozen=True)
class Interval:
  """Steps that are not logged yet.

  Attributes:
    since: step that it begins after.
    metrics: clu metrics of its steps.
  """

  since: int
  metrics: Any

  def to_json(self) -> dict[str, Any]:
    """The interval as JSON, exactly: a Python float holds any float32."""
    leaves = jax.tree.leaves(self.metrics)
    return {"since": self.since, "metrics": [x.tolist() for x in leaves]}

  @classmethod
  def begin(
    cls, step: int, empty: Any, saved: dict[str, Any] | None = None
  ) -> "Interval":
    """An interval without a step, or what `to_json` gave.

    Args:
      step: that a new one begins after.
      empty: clu metrics of no step, placed as a step returns them, so that one
        trace of the step is enough.
      saved: JSON of an interval that a checkpoint has interrupted.
    """
    if not saved:
      return cls(step, empty)
    leaves, tree = jax.tree.flatten(empty)
    values = [
      jax.device_put(np.asarray(value, like.dtype), like.sharding)
      for value, like in zip(saved["metrics"], leaves, strict=True)
    ]
    return cls(saved["since"], jax.tree.unflatten(tree, values))


@dataclasses.dataclass(frozen=True)
class Lap:
  """Time that passed.

  Attributes:
    wall: seconds.
    cpu: seconds that the cores of this process worked, all together.
  """

  wall: float
  cpu: float


class Clock:
  """Measures the time of a run: for the record, for rates, for checkpoints.

  Args:
    settings: `config.checkpoint`.
    step: at which the measurement begins.
  """

  def __init__(self, settings: ConfigDict, step: int):
    self._settings = settings
    self.begin(step)

  def begin(self, step: int) -> None:
    """Begins to measure at the first step of a session or a stage."""
    self._lap = self._saved = time.monotonic()
    self._lap_cpu = time.process_time()
    self.restart(step)

  def restart(self, step: int) -> None:
    """Begins to measure steps per second; the time before was not training."""
    self._since, self._began = step, time.monotonic()

  def rate(self, step: int) -> float:
    """Steps per second since the last restart; restarts."""
    seconds = time.monotonic() - self._began
    taken = step - self._since
    self.restart(step)
    return taken / max(seconds, 1e-9)

  def lap(self) -> Lap:
    """The time since the last lap."""
    wall, self._lap = self._lap, time.monotonic()
    cpu, self._lap_cpu = self._lap_cpu, time.process_time()
    return Lap(self._lap - wall, self._lap_cpu - cpu)

  def is_due(self, step: int) -> bool:
    """Whether it is time for a checkpoint between two evaluations."""
    minutes, steps = self._settings.every_minutes, self._settings.every_steps
    late = minutes and time.monotonic() - self._saved >= 60 * minutes
    return bool(late or (steps and step % steps == 0))

  def saved(self, step: int) -> None:
    """Notes that a checkpoint was made; restarts."""
    self._saved = time.monotonic()
    self.restart(step)
