"""Steps that are not logged yet, and the clock of a session."""

import json

import jax.numpy as jnp
import pytest

from bnnjax.train import log_interval
from tests.train.small_runs import tiny


@pytest.mark.parametrize(("minutes", "due"), [(1e-9, True), (60.0, False)])
def test_checkpoints_by_the_clock(minutes, due):
  settings = tiny().checkpoint
  settings.every_minutes = minutes
  clock = log_interval.Clock(settings, 0)
  assert clock.is_due(1) == due
  clock.saved(1)
  assert clock.is_due(2) == due


def test_an_interval_is_saved_exactly():
  metrics = {"total": jnp.float32(0.1), "count": jnp.int32(3)}
  empty = {"total": jnp.float32(0), "count": jnp.int32(0)}
  saved = log_interval.Interval(5, metrics).to_json()
  got = log_interval.Interval.begin(7, empty, json.loads(json.dumps(saved)))
  assert got.since == 5
  for name, value in metrics.items():
    assert got.metrics[name] == value
    assert got.metrics[name].dtype == value.dtype
  assert log_interval.Interval.begin(7, empty) == log_interval.Interval(
    7, empty
  )


def test_rates_begin_anew_after_a_restart(monkeypatch):
  now = [0.0]
  monkeypatch.setattr("time.monotonic", lambda: now[0])
  monkeypatch.setattr("time.process_time", lambda: 2 * now[0])  # two cores
  clock = log_interval.Clock(tiny().checkpoint, 0)
  now[0] = 4.0
  assert clock.rate(2) == 0.5
  now[0] = 9.0
  clock.restart(2)  # an evaluation of 5 s
  now[0] = 10.0
  assert clock.rate(4) == 2
  assert clock.lap() == log_interval.Lap(wall=10, cpu=20)
