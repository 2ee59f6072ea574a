"""What a session keeps between two log lines: metrics, and the time."""

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
    """Exact: a float32 is a Python float."""
    leaves = jax.tree.leaves(self.metrics)
    return {"since": self.since, "metrics": [x.tolist() for x in leaves]}

  @classmethod
  def from_json(cls, saved: dict[str, Any], empty: Any) -> "Interval":
    """What `to_json` gave, placed as the metrics `empty` are."""
    leaves, tree = jax.tree.flatten(empty)
    values = [
      jax.device_put(np.asarray(value, like.dtype), like.sharding)
      for value, like in zip(saved["metrics"], leaves, strict=True)
    ]
    return cls(saved["since"], jax.tree.unflatten(tree, values))


class Clock:
  """The time of a session: for the record, for rates, for saves by the clock.

  Args:
    settings: `config.checkpoint`.
    step: that the session begins at.
  """

  def __init__(self, settings: ConfigDict, step: int):
    self._settings = settings
    self._lap = self._saved = time.monotonic()
    self.restart(step)

  def restart(self, step: int) -> None:
    """Begins to measure steps a second: what came before is none of training."""
    self._since, self._began = step, time.monotonic()

  def rate(self, step: int) -> float:
    """Steps a second since the last restart, of which this is one."""
    seconds = time.monotonic() - self._began
    taken = step - self._since
    self.restart(step)
    return taken / max(seconds, 1e-9)

  def lap(self) -> float:
    """Seconds since the last lap."""
    before, self._lap = self._lap, time.monotonic()
    return self._lap - before

  def is_due(self, step: int) -> bool:
    """Whether a checkpoint beside the evaluations is to be made."""
    minutes, steps = self._settings.every_minutes, self._settings.every_steps
    late = minutes and time.monotonic() - self._saved >= 60 * minutes
    return bool(late or (steps and step % steps == 0))

  def saved(self, step: int) -> None:
    """A checkpoint was made."""
    self._saved = time.monotonic()
    self.restart(step)
