"""What is trained, and in which order; training is replaced by its records."""

import pytest

from bnnjax.evidence import runner
from bnnjax.train import sweep
from tests.evidence.conftest import (
  ADDED,
  CHOICES,
  EXPERIMENT,
  FINAL,
  append,
  record,
)


@pytest.fixture
def trained(monkeypatch):
  """Names of runs, in the order in which they were trained."""
  found = []

  def train_missing(specs, path, runs, known):
    assert path not in known
    for spec in specs:
      if path.exists() and f'"{spec}"' in path.read_text():
        continue  # on record
      name, row = _row_of(spec)
      choices = dict(zip(row.rates, CHOICES.get(name, ())))
      if spec.endswith("validate"):
        rate = float(spec.split("lr=")[-1].split(",")[0])
        accuracy, seed = (choices | ADDED.get(name, {}))[rate], 0
      else:
        seed = int(spec[-1])
        accuracy = FINAL[name][seed]
      found.append((name, spec.rsplit(",", 1)[-1]))
      append(path, record(spec, accuracy, seed=seed))

  monkeypatch.setattr(sweep, "train_missing", train_missing)
  return found


def _row_of(spec):
  own = spec.partition(",teacher=")[0].partition(",lr=")[0]
  for row in EXPERIMENT.rows:
    if row.spec.partition(",teacher=")[0] == own:
      return row.name, row
  raise AssertionError(spec)


def test_choices_come_first_and_teachers_before_students(trained, tmp_path):
  results = runner.run("exp", EXPERIMENT, tmp_path, tmp_path / "runs")
  choice = "validate"
  assert trained[:6] == [("float", choice)] * 3 + [("old", choice)] * 3
  assert trained[6:8] == [("old", choice)] * 2  # rates that were added
  assert trained[8:17] == [
    (name, f"seed={seed}")
    for seed in range(3)
    for name in ("float", "old", "new, wide")
  ]
  assert trained[17:] == [
    *[("new", choice)] * 4,
    *[("new", f"seed={s}") for s in range(3)],
  ]
  assert all(results.is_shown(row) for row in EXPERIMENT.rows)


def test_choices_on_record_are_checked_again(trained, tmp_path, monkeypatch):
  """A name on record does not tell an edited config; `train_missing` does."""
  runner.run("exp", EXPERIMENT, tmp_path, tmp_path / "runs")
  asked = []
  monkeypatch.setattr(
    sweep, "train_missing", lambda specs, *_: asked.extend(specs)
  )
  runner.run("exp", EXPERIMENT, tmp_path, tmp_path / "runs")
  choices = [spec for spec in asked if spec.endswith("validate")]
  assert len(choices) == 3 + 5 + 4  # of float, old and new
