"""Trains what an experiment lacks: first the choices, then every seed."""

import pathlib
from collections.abc import Iterator

from bnnjax.evidence.experiment import Experiment
from bnnjax.evidence.results import TUNING, Results, files
from bnnjax.train import sweep


def run(
  name: str, experiment: Experiment, results: pathlib.Path, runs: pathlib.Path
) -> Results:
  """Trains the runs that no record file of a folder holds.

  A row is tuned as soon as the networks that it starts from have a rate; their
  own runs come first. A stopped experiment goes on where it was.

  Args:
    name: of the experiment.
    experiment: what is compared.
    results: folder of the record files; records of this experiment go to
      `NAME.jsonl` and `tuning/NAME.jsonl`.
    runs: folder of the workdirs.
  """
  for tuning, wave in _waves(name, experiment, results):
    path = results / TUNING if tuning else results
    other = files(results)[1 if tuning else 0]
    path = path / f"{name}.jsonl"
    known = [file for file in other if file != path]
    sweep.train_missing(wave, path, runs / name, known)
  return Results.of(name, experiment, results)


def _waves(
  name: str, experiment: Experiment, results: pathlib.Path
) -> Iterator[tuple[bool, list[str]]]:
  """`(whether these are choices, config specs)`, as far as they are known.

  Choices of rows that start from no other row, their final runs, then rows
  that start from those. A row that takes the rate of another one waits for what
  that one starts from.
  """

  def needed(row):
    tuned = experiment.row(row.rate_of or row.name)
    return {*row.before, *tuned.before}

  done: set[str] = set()
  while len(done) < len(experiment.rows):
    rows = [
      row
      for row in experiment.rows
      if row.name not in done and needed(row) <= done
    ]
    read = Results.of(name, experiment, results)
    tuned = [row for row in rows if not row.rate_of]
    while tuned:  # once at least: a name on record may be an older config's
      specs = [
        read.tuning_spec(r, rate) for r in tuned for rate in read.rates(r)
      ]
      yield True, specs
      read = Results.of(name, experiment, results)
      if all(read.rate(row) is not None for row in tuned):
        break
    seeds = range(experiment.seeds)
    yield False, [read.final_spec(row, s) for s in seeds for row in rows]
    done.update(row.name for row in rows)
