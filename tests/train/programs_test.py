"""Programs of a stage, and its events."""

import types

import numpy as np

from bnnjax.core import registry
from bnnjax.train import loop, programs
from tests.train.small_runs import tiny

SEEN = []


@registry.register("event", "seen")
def seen(model, batch):
  del model
  SEEN.append(batch["label"].shape)


def test_events_are_applied_at_their_step(tmp_path):
  config = tiny()
  config.events = ((0.5, "seen"),)
  job, _ = loop.check(config, tmp_path)
  (stage,), state = job.stages, loop.first_state(job)
  batch = {"label": np.zeros(16, np.int32)}
  SEEN.clear()
  for now in (3, 5):
    assert (
      programs.apply_events(job, job.events, stage, state, batch, now) is state
    )
  programs.apply_events(job, job.events, stage, state, batch, 4)
  assert SEEN == [(16,)]
  assert programs.apply_events(job, [], stage, state, batch, 4) is state


def test_programs_of_a_stage(tmp_path):
  """Diagnostics are off, and write nothing."""
  job, _ = loop.check(tiny(), tmp_path)
  state = loop.first_state(job)
  made = programs.make(job, job.stages[0], state, tmp_path)
  assert made.diagnostics.saved() == {}
  made.diagnostics.step(1, state, types.MappingProxyType({}))
  assert not any(tmp_path.iterdir())
