"""Whether runs can be pooled or compared, and what a reader should know."""

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from bnnjax.errors import UserError
from bnnjax.report import fields, grouping

# Fields that do not change what a run computes.
HARMLESS = (
  "data.eval_batch_size", "data.threads", "data.workers", "diagnostics", "load",
  "log_every", "tensorboard",
)  # fmt: skip
# What a derived field tells of the config; a name tells all of it.
TOLD = {
  "method": (
    "model.weight", "model.act", "model.attention", "model.embedding",
    "optim.projection", "events",
  ),
  "weight": ("model.weight",),
  "act": ("model.act",),
  "bits": ("model.weight", "model.act"),
  "network": ("model.name", "model.variant"),
}  # fmt: skip
FEW = 1000
MOST_FIELDS, MOST_VALUES = 5, 3  # that a message names


def differing(
  records: Iterable[fields.Record],
) -> dict[str, list[str]]:
  """Fields of the config in which runs differ: labels of their values, by path.

  The seed and `HARMLESS` fields do not count, nor does a field that a record is
  too old for. An argument of the model that one record leaves out counts: its
  default is not recorded.
  """
  values: dict[str, dict[Any, None]] = {}
  met = set()
  for record in records:
    same = grouping.shared(record["config"])
    if same not in met:
      met.add(same)
      for path, found in grouping.leaves(record["config"]).items():
        values.setdefault(path, {})[found] = None
  out: dict[str, list[str]] = {}
  for path, found in values.items():
    if len(found) < 2 or path in HARMLESS:
      continue
    read = [grouping.read_leaf(leaf) for leaf in found]
    if path in grouping.OPEN:
      out |= _inside(path, read)
    else:
      out[path] = [_shown(value) for value in read]
  return out


def _inside(path: str, groups: Sequence[Any]) -> dict[str, list[str]]:
  """Fields in which the values of a group that a record holds whole differ."""
  if not all(isinstance(group, Mapping) for group in groups):
    return {path: [_shown(group) for group in groups]}
  flat = [fields.leaves(group, f"{path}.") for group in groups]
  out = {}
  for name in dict.fromkeys(name for one in flat for name in one):
    found = [_given(one, name) for one in flat]
    if len(set(found)) > 1:
      out[name] = list(dict.fromkeys(found))
  return out


def _given(group: Mapping[str, Any], path: str) -> str:
  return _shown(group[path]) if path in group else "not given"


def _shown(value: Any) -> str:
  return "null" if value is None else fields.show(value)


class MixedRow(UserError):
  """A row would mix runs.

  Attributes:
    what: which row, and in what its runs differ, as a sentence.
    by: fields whose rows mix none; empty if there are none.
  """

  def __init__(self, what: str, by: Sequence[str]):
    self.what, self.by = what, tuple(by)
    super().__init__(self.advised('by="{}"', "`Runs.filter`"))

  def advised(self, group: str, keep: str) -> str:
    """The message.

    Args:
      group: how a person groups by fields `{}`.
      keep: how a person filters runs.
    """
    listed = group.format(",".join(self.by))
    way = f"Group by `{listed}`, or filter" if self.by else "Filter"
    return f"{self.what} {way} the runs ({keep})."


def check_row(
  label: str,
  runs: Sequence[fields.Record],
  task: str,
  paths: Sequence[str] = (),
  records: Sequence[fields.Record] = (),
) -> None:
  """Raises `MixedRow` if runs of a row differ in a field, and names it.

  Args:
    label, runs: of the row.
    task: of the runs.
    paths: fields that make a row.
    records: of all rows of all tasks; by default those of this one.
  """
  # A look at some of very many runs finds most mistakes.
  found = differing(runs[:FEW]) or differing(runs)
  if found:
    raise MixedRow(
      f"The row {label!r} ({task}) would mix runs that differ in"
      f" {_begin(found)}: the mean would belong to none of them.",
      _telling(records or runs, paths),
    )


def _telling(
  records: Sequence[fields.Record], paths: Sequence[str]
) -> list[str]:
  """Fields, first `paths`, by which no row mixes runs; none if too many.

  The next one is that with the most values among the runs that are still mixed.
  """
  kinds: dict[tuple, fields.Record] = {}
  for record in records:
    kinds.setdefault(grouping.shared(record["config"]), record)
  of_task: dict[str, list[fields.Record]] = {}
  for record in [*kinds.values()][:FEW]:
    task = fields.show(fields.task(record))
    of_task.setdefault(task, []).append(record)
  chosen = list(paths)
  while True:
    mixed = [
      (runs, found)
      for some in of_task.values()
      for runs in _split(some, chosen)
      if (found := differing(runs))
    ]
    if not mixed:
      return chosen
    options = [*TOLD, *(path for _, found in mixed for path in found)]
    counts = {
      path: sum(len(_split(runs, [path])) - 1 for runs, _ in mixed)
      for path in dict.fromkeys(options)
    }
    best = max(counts, key=counts.get)
    if not counts[best] or len(chosen) >= len(paths) + MOST_FIELDS:
      return []
    chosen.append(best)


def _split(
  records: Iterable[fields.Record], paths: Sequence[str]
) -> list[list[fields.Record]]:
  """Records with the same labels of fields, also of some that none has."""
  found: dict[tuple[str, ...], list[fields.Record]] = {}
  for record in records:
    key = tuple(fields.show(fields.value(record, p)) for p in paths)
    found.setdefault(key, []).append(record)
  return list(found.values())


def between_rows(
  rows: Iterable[fields.Record], paths: Sequence[str]
) -> list[str]:
  """What else differs between rows than the fields that they are grouped by.

  Args:
    rows: a run of each row.
    paths: the fields.

  Returns:
    A sentence, or none.
  """
  if "name" in paths:
    return []
  told = {t for p in paths for t in (p, *TOLD.get(p, ()))}
  found = {k: v for k, v in differing(rows).items() if k not in told}
  return [f"The rows also differ in {_listed(found)}."] if found else []


def of_one_name(
  rows: Mapping[str, Sequence[fields.Record]],
) -> list[str]:
  """Sentences about rows of configs, `NAME` and `NAME (2)`: how they differ."""
  named: dict[str, list[fields.Record]] = {}
  for runs in rows.values():
    name = grouping.SEED.sub("", runs[0]["name"])
    named.setdefault(name, []).append(runs[0])
  return [
    f"The {len(runs)} rows of the name {name} differ in {_listed(found)}."
    for name, runs in named.items()
    if len(runs) > 1 and (found := differing(runs))
  ]


def of_costs(rows: Mapping[str, Sequence[fields.Record]]) -> list[str]:
  """Sentences about rows whose costs were counted differently."""
  counted: dict[str, list[str]] = {}
  for label, runs in rows.items():
    kinds = grouping.distinct(runs, "cost")
    words = sorted({definitions(run) for run in kinds})
    counted.setdefault(" and ".join(words), []).append(label)
  if len(counted) < 2 and not any(" and " in words for words in counted):
    return []
  listed = "; ".join(f"{words}: {some(of)}" for words, of in counted.items())
  return [
    "Costs were counted by different definitions and cannot be compared:"
    f" {listed}."
  ]


def definitions(record: fields.Record) -> str:
  """Version of the definitions of the record's cost, in words."""
  found = record["cost"].get("definitions")
  if isinstance(found, Mapping):
    return "written out"  # the first records hold the text
  return "not recorded" if found is None else f"version {found}"


def of_data(records: Iterable[fields.Record]) -> list[str]:
  """A sentence if runs of one task were trained on other data."""
  held = {json.dumps(r["data"], sort_keys=True) for r in records if "data" in r}
  if len(held) < 2:
    return []
  return [
    "The runs name the same data, but its content differs (digests of the"
    " records)."
  ]


def spreads_differ(values: Iterable[Sequence[float]]) -> bool:
  """Whether rows have different variances, at 5 % (Bartlett 1937)."""
  from scipy import stats  # takes a second to import

  kept = [v for v in values if len(v) > 1 and max(v) > min(v)]
  return len(kept) > 1 and stats.bartlett(*kept).pvalue < 0.05


def some(names: Sequence[str], most: int = MOST_FIELDS) -> str:
  """Names in a sentence: the first, and how many more."""
  more = len(names) - most
  return ", ".join(names[:most]) + (f" and {more} more" if more > 0 else "")


def _begin(found: Mapping[str, Sequence[str]]) -> str:
  """Fields and values, the first ones: how many more is not known."""

  def first(names, most):
    return ", ".join([*names[:most], *(["..."] if len(names) > most else [])])

  listed = [f"{path} ({first(v, MOST_VALUES)})" for path, v in found.items()]
  return first(listed, MOST_FIELDS)


def _listed(found: Mapping[str, Sequence[str]]) -> str:
  listed = [f"{path} ({some(v, MOST_VALUES)})" for path, v in found.items()]
  return some(listed)
