"""`ablate`: binarizers compared in one network, in ten lines.

The protocol of `bnnjax.evidence` for any config: each pair of binarizers chooses
its learning rate on examples held out of training, then is trained with several
seeds and tested once for each.
"""

import dataclasses
import itertools
import math
import pathlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from ml_collections import ConfigDict

from bnnjax import markup
from bnnjax.core import spec as spec_lib
from bnnjax.data import loading
from bnnjax.errors import UserError
from bnnjax.report import fields, reading, runs
from bnnjax.report.table import Table
from bnnjax.train import bars, config_file, data_facts, one_bar, sweep
from bnnjax.train import config as config_lib

LEAST_SEEDS = 2
FOLDER = "runs/ablation"
ROLES = ("weight", "act")
Pair = tuple[str | None, str | None]


@dataclasses.dataclass(frozen=True)
class Cell:
  """A pair of binarizers.

  Attributes:
    weight, act: specs; `...` for that of the config.
    rate: the learning rate that was chosen.
    tried: the metric on the held-out examples by rate, in the unit of the
      table (an accuracy in %); empty without a choice.
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
  training examples, on which these runs do not train; its final runs train on all
  of them. What is on record in `folder` is not trained again, and a stopped ablation
  goes on where it was.

  Args:
    config: a config spec, a config, or a function `(weight=, act=)` that returns
      one. Its model takes `weight` and `act`.
    weight, act: specs to compare, each with each; by default those of the config.
    lr: learning rates to choose from; by default the config's, without a choice.
    seeds: number of final runs of a pair, 2 or more.
    held_out: share of the training examples that choices are made on.
    folder: of records (`results.jsonl`, `choices.jsonl`) and workdirs.

  Raises:
    UserError: nothing to compare, an unknown spec, or an argument out of range;
      raised before the first run.
  """
  pairs = _pairs(weight, act)
  _check(lr, seeds, held_out)
  configs = {pair: _config(config, pair) for pair in pairs}
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
      rate = better(metrics, key=metrics.get)
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


def _pairs(weight: Any, act: Any) -> list[Pair]:
  """All pairs of specs; `...` stands for that of the config.

  Raises:
    UserError: fewer than two, or a spec that is none.
  """
  for role, specs in (("weight", weight), ("act", act)):
    if isinstance(specs, str) or not isinstance(specs, Sequence):
      raise UserError(
        f"`{role}` must be a list of specs, e.g. [{specs!r}]: got {specs!r}."
      )
    if len(set(specs)) < len(specs):
      raise UserError(f"`{role}` names a spec twice: {list(specs)}.")
    for spec in specs:
      try:
        spec_lib.parse(spec, role)
      except (ValueError, TypeError) as error:
        raise UserError(f"`{role}`: {error}") from error
  pairs = list(itertools.product(weight or (...,), act or (...,)))
  if len(pairs) < 2:
    raise UserError(
      "There is nothing to compare: give two or more specs, e.g."
      " `act=['ste', 'approx_sign']`."
    )
  return pairs


def _check(lr: Sequence[float], seeds: int, held_out: float) -> None:
  """Raises `UserError` for arguments out of range."""
  if isinstance(lr, str) or not isinstance(lr, Sequence):
    raise UserError(f"`lr` must be a list of rates, e.g. [0.001]: got {lr!r}.")
  if len({f"{rate:g}" for rate in lr}) < len(lr) or not all(
    0 < rate < math.inf for rate in lr
  ):
    raise UserError(
      f"`lr` must hold different positive rates, e.g. [0.001, 0.003]: got"
      f" {list(lr)}."
    )
  if not isinstance(seeds, int) or seeds < LEAST_SEEDS:
    raise UserError(
      f"`seeds` must be {LEAST_SEEDS} or more, for an interval: got {seeds!r}."
    )
  if not 0 < held_out < 1:
    raise UserError(
      f"`held_out` must be a share between 0 and 1: got {held_out!r}."
    )


def _config(config: Any, pair: Pair) -> config_lib.Resolved:
  """The config of a pair, resolved.

  Raises:
    UserError: none is given, or its model does not take `weight` and `act`.
  """
  given = {k: v for k, v in zip(ROLES, pair) if v is not ...}
  if isinstance(config, str):
    made = config_file.read_unresolved(config)
  elif callable(config) and not isinstance(config, ConfigDict):
    return _with_specs(config_lib.resolve(config(**given)), given)
  else:
    made = config
  if not isinstance(made, ConfigDict | Mapping):
    raise UserError(
      "`config` must be a config spec such as 'configs/x.py', a ConfigDict, or a"
      f" function that returns one: got {made!r:.80}."
    )
  made = ConfigDict(made).copy_and_resolve_references().unlock()
  made.model = {**dict(made.get("model", {})), **given}
  return config_lib.resolve(made)


def _with_specs(made: config_lib.Resolved, given: dict) -> config_lib.Resolved:
  """The config of a function.

  Raises:
    UserError: it does not hold the specs where records are compared by them.
  """
  for role, spec in given.items():
    held = made.model.get(role)
    if held != spec:
      raise UserError(
        f"The function must set `config.model.{role}` to the spec that it is"
        f" given: got {held!r} for {spec!r}."
      )
  return made


def _choose(
  configs, lr, held_out, root, shown
) -> dict[Pair, tuple[dict, Callable]]:
  """The metric of each rate on held-out examples, and `max` or `min`."""
  planned = {
    (pair, rate): _planned(
      made, pair, {"optim.lr": rate, "seed": 0, **_held_out(made, held_out)}
    )
    for pair, made in configs.items()
    for rate in lr
  }
  records = _trained(planned.values(), root / "choices.jsonl", root, shown)
  metric = fields.metric_of(records)
  by_name = {record["name"]: metric.of(record) for record in records}
  better = min if metric.higher_is_better is False else max
  return {
    pair: ({rate: by_name[planned[pair, rate].name] for rate in lr}, better)
    for pair in configs
  }


def _held_out(config: config_lib.Resolved, share: float) -> dict[str, str]:
  """Splits of a choice: the last examples of the training split are held out."""
  data = config.data
  base, start, stop = loading.bounds(
    data.name, data.train_split, **data_facts.options_of(data)
  )
  kept = stop - max(1, round(share * (stop - start)))
  if kept <= start:
    raise UserError(
      f"{share:g} of {stop - start} training examples leave none to train on."
    )
  return {
    "data.train_split": f"{base}[{start}:{kept}]",
    "data.eval_split": f"{base}[{kept}:{stop}]",
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
  return sweep.Planned(name.replace("/", "_"), config_lib.resolve(made))


def _trained(planned, path: pathlib.Path, root, shown) -> list[Any]:
  """The records of runs, which are trained unless they are on record."""
  planned = list(planned)
  sweep.Sweep(planned, path, root / "runs", shown=shown).run()
  names = {run.name for run in planned}
  return [r for r in reading.whole(path) if r["name"] in names]
