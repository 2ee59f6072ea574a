"""What a run knows beside its arrays, and its record."""

import dataclasses
import json
import types

import pytest

from bnnjax.train import job, run_info
from tests.train.small_runs import mlp

IDENTITY = {"data": {"train": "t", "eval": "e"}, "run": "r"}


@pytest.fixture(scope="module")
def made():
  return job.Job(mlp())


def test_a_new_run(made):
  info = run_info.new(made, IDENTITY)
  assert info.steps == made.steps == 8
  assert info.eval == info.best == {}
  assert info.id != run_info.new(made, IDENTITY).id
  stored = info.to_json()
  assert json.loads(json.dumps(stored)) == stored
  assert not {"lengthened_from", "events"} & stored.keys()
  assert set(stored) >= {"position", "interval", "measured"}


def test_a_resumed_run_keeps_what_it_has_come_to(made):
  before = dataclasses.replace(
    run_info.new(made, IDENTITY), flips=2.0, eval={"loss": 1.0}, measured=3
  )
  stored = {**before.to_json(), "step": 3, "format": 2, "digests": {}}
  info = run_info.new(made, {"run": "now"})
  got = run_info.resumed(info, stored, False, made)
  assert got == dataclasses.replace(before, identity={"run": "now"})
  del stored["measured"]  # as checkpoints of format 1 are
  assert run_info.resumed(info, stored, False, made).measured == 3


def test_a_longer_run_has_an_id_and_events_of_its_own(made):
  stored = {**run_info.new(made, IDENTITY).to_json(), "steps": 2, "step": 2}
  events = [(1, "early"), (3, "late")]
  for start, left in ((0, []), (2, [(3, "late")])):
    stage = types.SimpleNamespace(start=start)
    longer = types.SimpleNamespace(events=events, stages=[stage])
    info = run_info.new(made, IDENTITY)
    got = run_info.resumed(info, stored, True, longer)
    assert got.events == left
    assert got.id == info.id != stored["id"]
    assert got.lengthened_from == {"id": stored["id"], "steps": 2}


def test_the_record(made):
  info = dataclasses.replace(
    run_info.new(made, IDENTITY), eval={"loss": 1.0}, best={"loss": 0.5}
  )
  line = run_info.record_of(made, "name", info, {"params": "p"})
  assert line["metrics"] == {
    "loss": 1.0, "best_loss": 0.5, "flips_per_weight": 0.0,
  }  # fmt: skip
  assert line["digest"] == "r"
  assert line["data"] == IDENTITY["data"]
  assert "weights" not in line  # the digest of `rest` lacks
  whole = run_info.record_of(made, "name", info, {"params": "p", "rest": "q"})
  assert whole["weights"]
