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


def check_row(label: str, runs: Sequence[fields.Record], task: str) -> None:
  """Raises `UserError` if runs of a row differ in a field, and names it."""
  # A look at some of very many runs finds most mistakes.
  found = differing(runs[:FEW]) or differing(runs)
  if found:
    raise UserError(
      f"The row {label!r} ({task}) would mix runs that differ in"
      f" {_begin(found)}: the mean would belong to none of them. Group by a"
      ' field that tells them apart too (`by="method,network"`), or filter the'
      " runs."
    )


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
