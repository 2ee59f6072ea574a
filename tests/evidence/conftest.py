"""An experiment whose records are made by hand."""

import json
import pathlib

import pytest

from bnnjax.evidence.experiment import Claim, Experiment, Row
from bnnjax.evidence.results import Results
from bnnjax.train import config_file

CONFIG = "configs/x.py:images=10"
RATES = (0.1, 0.2, 0.4)
ROWS = (
  Row("float", f"{CONFIG},method=float", RATES),
  Row("old", f"{CONFIG},method=old", RATES),
  Row("new", f"{CONFIG},method=new,teacher={{float}}", RATES),
  Row("new, wide", f"{CONFIG},method=new,width=2", rate_of="old"),
)
EXPERIMENT = Experiment(
  title="New or old? (10 training images)",
  paper="A paper",
  claim="New beats old",
  setting="A network on data.",
  rows=ROWS,
  claims=(
    Claim("new beats old", "new", "old"),
    Claim("something beats float", "*", "float", besides=("old",)),
  ),
)
# Accuracy on the held-out split by rate; test accuracy by seed.
CHOICES = {
  "float": (0.5, 0.9, 0.8),
  "old": (0.7, 0.6, 0.5),
  "new": (0.5, 0.6, 0.7),
}
FINAL = {
  "float": (0.90, 0.91, 0.92),
  "old": (0.70, 0.71, 0.73),
  "new": (0.80, 0.82, 0.82),
  "new, wide": (0.85, 0.85, 0.87),
}


def record(spec, accuracy, steps=100, seed=0, **changes):
  """A record with the fields that results and pages read."""
  validate = spec.endswith("validate")
  is_float = spec.startswith(f"{CONFIG},method=float")
  macs = "w32a32" if is_float else "w1a1"
  return {
    "id": spec,
    "name": config_file.name_of(spec),
    "config": {"data": {"eval_split": "train[10:]" if validate else "test"}},
    "seed": seed,
    "commit": None,
    "versions": {},
    "device": "1 x abacus",
    "metrics": {"accuracy": accuracy},
    "cost": {
      "ace": 1000,
      "macs": {macs: 10},
      "definitions": 1,
      "weight_bytes_by_convention": {"deployed": 2000},
    },
    "wall_seconds": 120.0,
    "cpu_seconds": 60.0,
    "steps": steps,
    "examples": {"train": 10, "eval": 100},
    **changes,
  }


@pytest.fixture
def make(tmp_path):
  """Writes records of some rows, and reads them as results."""

  def make(rows=tuple(FINAL), experiment=EXPERIMENT, final=FINAL):
    folder = pathlib.Path(tmp_path)
    results = Results("exp", experiment, {}, {})
    for row in experiment.rows:
      if row.name not in rows:
        continue
      if not row.rate_of:
        for rate, accuracy in zip(row.rates, CHOICES[row.name]):
          made = record(results.tuning_spec(row, rate), accuracy)
          append(folder / "tuning" / "exp.jsonl", made)
      results = Results.of("exp", experiment, folder)
      for seed, accuracy in enumerate(final[row.name]):
        made = record(results.final_spec(row, seed), accuracy, seed=seed)
        append(folder / "exp.jsonl", made)
      results = Results.of("exp", experiment, folder)
    return results

  return make


def append(path, line):
  """Appends a record to a file."""
  path.parent.mkdir(exist_ok=True)
  with path.open("a") as file:
    file.write(json.dumps(line) + "\n")
