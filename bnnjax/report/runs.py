"""Records of any number of files, to be filtered, grouped and reported.

  runs = bx.report.load("experiments/results/*.jsonl")
  runs.filter(task="fashion_mnist, train[:10000], 14 x 14").table(by="method")

Reading needs neither jax nor matplotlib.
"""

import dataclasses
import os
from collections.abc import Iterator, Sequence
from typing import Any

from bnnjax import markup
from bnnjax.errors import UserError
from bnnjax.report import fields, grouping, reading

By = str | Sequence[str] | None


@dataclasses.dataclass(frozen=True, repr=False)
class Runs:
  """Records, and what was not read as one.

  Attributes:
    records: one object for each run, superseded ones left out. Records may
      share parts; do not change them.
    skipped: files and lines that hold no record, each with the reason.
  """

  records: Sequence[fields.Record]
  skipped: Sequence[reading.Skipped] = ()

  def __len__(self) -> int:
    return len(self.records)

  def __iter__(self) -> Iterator[fields.Record]:
    return iter(self.records)

  def __repr__(self) -> str:
    lines = [f"{len(self.records)} runs", *reading.say(self.skipped)]
    return f"<{'; '.join(lines)}>"

  def _repr_html_(self) -> str:
    """A table with a row for each config, or only how many runs there are."""
    try:
      return self.table()._repr_html_()
    except UserError:
      return markup.text(repr(self))

  def filter(self, **wanted: Any) -> "Runs":
    """The runs whose fields have these values.

    Args:
      **wanted: a value, or a list of values, for each field. Names with dots
        go in as `**{"optim.lr": 0.01}`; a value may be given as its label.

    Raises:
      UserError: no record has such a field, or none has such a value.
    """
    left = list(self.records)
    for path, value in wanted.items():
      fields.check(self.records, path)
      several = isinstance(value, list | tuple | set | frozenset)
      accepted = list(value) if several else [value]
      labels = {fields.show(v) for v in accepted}
      found = [r for r in left if _is(fields.value(r, path), accepted, labels)]
      if not found:
        known = sorted({fields.show(fields.value(r, path)) for r in left})
        raise UserError(
          f"No run has {path} = {', '.join(sorted(labels))}. They have:"
          f" {', '.join(known[:20])}{', ...' if len(known) > 20 else ''}."
        )
      left = found
    return Runs(left, self.skipped)

  def groups(self, by: By = None) -> dict[str, list[fields.Record]]:
    """Records by label.

    Args:
      by: a field, or several (a list, or a text with commas), whose values make
        the label; `None` for runs that differ only in the seed, by name.

    Raises:
      UserError: no record has such a field.
    """
    if by is None:
      return grouping.by_config(self.records)
    return grouping.by_fields(self.records, grouping.names(by))

  def table(self, by: By = None, metric: str | None = None, **options: Any):
    """A `Table` with a row for each group, see `bnnjax.report.table.make`."""
    from bnnjax.report import table

    return table.make(self, by, metric, **options)

  def pareto(self, x: str = "ace", y: str | None = None, **options: Any):
    """The Pareto fronts of a metric against a cost, see `pareto.make`."""
    from bnnjax.report import pareto

    return pareto.make(self, x, y, **options)

  def plot(
    self,
    path: os.PathLike | str | None = None,
    published: bool = False,
    **options: Any,
  ):
    """Draws the Pareto fronts.

    Args:
      path: where to write the figure: `.svg`, `.pdf` or `.png`.
      published: also draw published points, in a panel of their own.
      **options: of `pareto`.

    Returns:
      The `matplotlib.figure.Figure`.
    """
    return self.pareto(**options).plot(path, published)


def _is(found: Any, accepted: Sequence[Any], labels: set[str]) -> bool:
  return found in accepted or fields.show(found) in labels


def load(*paths: os.PathLike | str) -> Runs:
  """Reads records.

  Args:
    *paths: files, globs (`results/*.jsonl`), or folders: of a folder its
      `*.jsonl` files or, if it has none, those of its subfolders.

  Returns:
    The runs that no other one supersedes. A run that several lines hold counts
    once. Files and lines that hold no record are named in `skipped`.

  Raises:
    UserError: no path, or one that does not exist or cannot be read.
  """
  records, skipped = reading.read(paths)
  return Runs(records, skipped)
