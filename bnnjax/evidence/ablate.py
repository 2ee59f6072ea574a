"""`ablate`: binarizers compared in one network, in ten lines.

The protocol of `bnnjax.evidence` for any config: each pair of binarizers chooses
its learning rate on examples held out of training, then is trained with several
seeds and tested once for each.
"""

import dataclasses
import math
import pathlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from ml_collections import ConfigDict

from bnnjax import markup
from bnnjax.data import digest
from bnnjax.errors import UserError
from bnnjax.evidence import ablate_arguments as arguments
from bnnjax.evidence import held_out as held_out_lib
from bnnjax.evidence.ablate_arguments import ROLES, Pair
from bnnjax.report import fields, runs
from bnnjax.report.table import Table
from bnnjax.train import bars, one_bar, sweep
from bnnjax.train import config as config_lib

FOLDER = "runs/ablation"
LONGEST = 200  # characters of a name, which is that of a folder


@dataclasses.dataclass(frozen=True)
class Cell:
  """A pair of binarizers.

  Attributes:
    weight, act: specs; `...` for that of the config.
    rate: the learning rate that was chosen.
    tried: the metric on the held-out examples by rate, in the unit of the
      table (an accuracy in %), NaN if the run diverged; empty without a choice.
  """

  weight: str | None
  act: str | None
  rate: float
  tried: Mapping[float, float]

  @property
  def at_the_edge(self) -> bool:
    """Whether the best rate is the smallest or the largest that was tried."""
    return bool(self.tried) and self.rate in (min(self.tried), max(self.tried))


@dataclasses.dataclass(frozen=True, repr=False)
class Ablation:
  """What `ablate` found; prints and renders as a table.

  Attributes:
    runs: final runs of all seeds. `runs.plot()` draws the metric against ACE.
    cells: pairs of binarizers, with their rates.
    by: fields of the records that are compared.
  """

  runs: runs.Runs
  cells: tuple[Cell, ...]
  by: tuple[str, ...]

  def table(self, **options: Any) -> Table:
    """A row for each pair: mean, spread, n, intervals, costs, seconds.

    Differences are those to the first pair that was given.

    Args:
      **options: of `bnnjax.report.table.make`.
    """
    options = {"baseline": _label(self.cells[0]), **options}
    return self.runs.table(by=self.by, **options)

  def plot(self, path: Any = None) -> Any:
    """Draws seeds, means and intervals, see `bnnjax.report.figures.rows`."""
    return self.table().plot(path)

  @property
  def notes(self) -> list[str]:
    """Which rates were chosen, and which of them at the edge."""
    chosen = "; ".join(f"{_label(c)}: {c.rate:g}" for c in self.cells)
    edges = [
      f"{_label(c)}: the best rate, {c.rate:g}, is at the edge of those"
      " tried; try more beyond it."
      for c in self.cells
      if c.at_the_edge
    ]
    return [f"Learning rates of {chosen}.", *edges]

  def __repr__(self) -> str:
    return "\n".join([str(self.table()), *(f"- {n}" for n in self.notes)])

  def _repr_html_(self) -> str:
    return f"{self.table()._repr_html_()}\n{markup.items(self.notes)}"


def ablate(
  config: str | ConfigDict | Callable[..., ConfigDict],
  *,
  weight: Sequence[str | None] = (),
  act: Sequence[str | None] = (),
  lr: Sequence[float] = (),
  seeds: int = 3,
  held_out: float = 0.1,
  folder: str = FOLDER,
) -> Ablation:
  """Trains a network with each pair of binarizers, and compares them.

      found = bx.ablate("configs/x.py", act=["ste", "triangle"], lr=[1e-3, 3e-3])
      found.plot()

  A pair takes the rate of `lr` with the best metric on the last `held_out` of the
  training examples, on which these runs do not train (one that diverges is not
  chosen); its final runs train on all of them. What is on record in `folder` is not
  trained again, and a stopped ablation goes on where it was.

  Args:
    config: a config spec, a config, or a function `(weight=, act=)` that returns
      one. Its model takes `weight` and `act`.
    weight, act: specs to compare, each with each; by default those of the config.
    lr: learning rates to choose from; by default the config's, without a choice.
    seeds: number of final runs of a pair, 2 or more.
    held_out: share of the training examples that choices are made on.
    folder: of records (`results.jsonl`, `choices.jsonl`) and workdirs.

  Raises:
    UserError: nothing to compare, an unknown spec, or an argument out of range,
      before the first run; training examples sorted by class, so that the last
      ones are no sample; no rate of a pair without divergence.
    FloatingPointError: a final run diverges.
  """
  pairs = arguments.pairs(weight, act)
  arguments.check(lr, seeds, held_out, folder)
  configs = {pair: arguments.config_of(config, pair) for pair in pairs}
  root = pathlib.Path(folder)
  choices = len(lr) if len(lr) > 1 else 0
  total = len(pairs) * (choices + seeds)
  shown = one_bar.OneBar(total) if bars.in_notebook() else None
  tried = _choose(configs, lr, held_out, root, shown) if choices else {}
  cells, planned = [], []
  for pair, made in configs.items():
    rate = lr[0] if lr else made.optim.lr
    metrics, better = tried.get(pair, ({}, max))
    if metrics:
      finite = [rate for rate in metrics if not math.isnan(metrics[rate])]
      rate = better(finite, key=metrics.get)
    cells.append(Cell(*pair, rate, metrics))
    planned += [
      _planned(made, pair, {"optim.lr": rate, "seed": seed})
      for seed in range(seeds)
    ]
  found = _trained(planned, root / "results.jsonl", root, shown)
  if shown is not None:
    shown.close()
  by = [role for role, given in zip(ROLES, (weight, act)) if given]
  return Ablation(runs.Runs(found), tuple(cells), tuple(by))


def _label(cell: Cell) -> str:
  given = (spec for spec in (cell.weight, cell.act) if spec is not ...)
  return ", ".join(spec or fields.FLOAT for spec in given)


def _choose(
  configs, lr, held_out, root, shown
) -> dict[Pair, tuple[dict, Callable]]:
  """The metric of each rate on held-out examples, and `max` or `min`."""
  planned = {
    (pair, rate): _planned(
      made,
      pair,
      {"optim.lr": rate, "seed": 0, **held_out_lib.splits(made.data, held_out)},
    )
    for pair, made in configs.items()
    for rate in lr
  }
  records = _trained(
    planned.values(), root / "choices.jsonl", root, shown, diverging=True
  )
  of_pairs = dict.fromkeys(configs, ())
  for (pair, _), record in zip(planned, records):
    of_pairs[pair] += (record,)
  for pair, found in of_pairs.items():
    if not any(found):
      raise UserError(
        f"Every run of {', '.join(map(str, pair))} diverges with the rates"
        f" {list(lr)}: try smaller ones."
      )
  metric = fields.metric_of([r for r in records if r is not None])
  better = min if metric.higher_is_better is False else max
  return {
    pair: (
      {rate: metric.of(r) if r else math.nan for rate, r in zip(lr, found)},
      better,
    )
    for pair, found in of_pairs.items()
  }


def _planned(
  config: config_lib.Resolved, pair: Pair, changes: Mapping[str, Any]
) -> sweep.Planned:
  made = ConfigDict(config.to_dict())
  made.update_from_flattened_dict(changes)
  parts = [
    f"{role}={spec}" for role, spec in zip(ROLES, pair) if spec is not ...
  ]
  parts += [f"lr={made.optim.lr:g}"]
  parts += (
    ["held_out"] if "data.eval_split" in changes else [f"seed={made.seed}"]
  )
  name = "-".join([config.model.get("name", "model"), *parts])
  name = name.replace("/", "_")
  if len(name) > LONGEST:
    name = f"{name[:LONGEST]}-{digest.of(name)[:8]}"
  return sweep.Planned(name, config_lib.resolve(made))


def _trained(
  planned, path: pathlib.Path, root, shown, diverging: bool = False
) -> list[Any]:
  """The records of runs, which are trained unless they are on record.

  With `diverging`, that of a run that diverges is `None`.
  """
  runs_ = sweep.Sweep([*planned], path, root / "runs", shown=shown)
  runs_.run(diverging)
  return runs_.records()
