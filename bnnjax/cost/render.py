"""A report as text, comparison and plot.

Tables are rich for terminals, markdown or CSV, with definitions below.
"""

import csv
import dataclasses
import io
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from bnnjax import markup
from bnnjax.core.registry import unknown
from bnnjax.cost import metrics
from bnnjax.cost.ledger import Row

FORMATS = ("rich", "markdown", "csv")


def _shapes(shapes: tuple[tuple[int, ...], ...]) -> str:
  if not shapes:
    return "as declared"
  left, right, out = ("x".join(map(str, s)) or "()" for s in shapes)
  return f"{left} . {right} -> {out}"


# First columns of a grouping, and the cells of a row there.
GROUPINGS: dict[str, tuple[tuple[str, ...], Callable[[Row], tuple]]] = {
  "layer": (
    ("layer", "op", "shapes"),
    lambda r: (r.path or "(top)", r.op, _shapes(r.shapes)),
  ),
  "scope": (("scope",), lambda r: (r.scope or "(top)",)),
  "bits": (("bits",), lambda r: (r.bits,)),
}


def table(report: Any, format: str, by: str) -> str:
  """See `Report.table`."""
  columns, lines = _grouped(report, by)
  below = [f"{k} = {human(v)}" for k, v in metrics.totals(report).items()]
  below += [f"warning: {w}" for w in report.warnings]
  below += [f"note: {n}" for n in report.notes]
  title = f"Cost of {report.name}"
  return text_of(columns, lines, report.definitions, format, title, below)


def html(report: Any) -> str:
  """For notebooks: a line for each layer; all figures, and what they mean."""
  columns, lines = _grouped(report, "layer")
  totals = metrics.totals(report)
  figures = [f"{k} = {human(v)}" for k, v in totals.items()]
  caption = (
    f"Cost of {report.name}: {report.total_macs:,} MACs, ACE {report.ace:,},"
    f" {human(totals['weight bytes deployed'])} bytes"
  )
  return "\n".join(
    [
      markup.table(columns, _texts(lines), caption),
      markup.items([*report.warnings, *report.notes]),
      markup.folded("All figures", markup.items(figures)),
      _definitions_html(report.definitions),
    ]
  )


def _texts(rows: Sequence[Sequence[Any]]) -> list[list[str]]:
  return [[human(x) for x in row] for row in rows]


def _definitions_html(definitions: Mapping[str, str]) -> str:
  lines = [f"{k}: {v}." for k, v in definitions.items()]
  return markup.folded("Definitions", markup.items(lines))


def _grouped(report: Any, by: str) -> tuple[list[str], list[list[Any]]]:
  """Columns and lines of the grouping."""
  if by not in GROUPINGS:
    raise unknown("grouping", by, GROUPINGS)
  names, cells_of = GROUPINGS[by]
  groups: dict[Any, list[Row]] = {}
  for row in report.rows:
    key = (*cells_of(row), row.w_bits, row.a_bits)
    groups.setdefault(key, []).append(row)
  if by == "bits":
    groups = dict(sorted(groups.items(), key=lambda group: group[0][1:]))
  lines = []
  for key, rows in groups.items():
    ace = sum(r.ace for r in rows)
    share = round(100 * ace / (report.ace or 1), 2)
    macs, elements = sum(r.macs for r in rows), sum(r.elements for r in rows)
    lines.append([*key, macs, ace, share, elements])
  return [*names, "W", "A", "MACs", "ACE", "ACE %", "parameters"], lines


@dataclasses.dataclass(frozen=True)
class Comparison:
  """Two reports side by side."""

  left: Any
  right: Any

  @property
  def rows(self) -> list[tuple[str, Any, Any, float | None]]:
    """`(figure, left, right, right / left)`; no ratio over zero."""
    a, b = metrics.totals(self.left), metrics.totals(self.right)
    # Figures of either report, the widths of both in one sorted block.
    widths = sorted({*self.left.macs, *self.right.macs})
    names = ["MACs", *(f"MACs w{w}a{x}" for w, x in widths)]
    names += [k for k in a if not k.startswith("MACs")]
    pairs = [(k, a.get(k, 0), b.get(k, 0)) for k in names]
    return [
      (k, x, y, y / x if x and _number(x) and _number(y) else None)
      for k, x, y in pairs
    ]

  def table(self, format: str = "markdown") -> str:
    """The figures as text; `format` as in `Report.table`."""
    rows = [list(row) for row in self.rows]
    return text_of(self._head(), rows, self.left.definitions, format)

  def _head(self) -> list[str]:
    names = [self.left.name, self.right.name]
    if names[0] == names[1]:
      names = [f"{names[0]} (1)", f"{names[1]} (2)"]
    return ["figure", *names, "ratio"]

  def _repr_html_(self) -> str:
    table = markup.table(self._head(), _texts(self.rows))
    return f"{table}\n{_definitions_html(self.left.definitions)}"

  def to_json(self) -> dict[str, list[Any]]:
    """`{figure: [left, right, ratio]}`."""
    return {k: [a, b, r] for k, a, b, r in self.rows}

  def __str__(self) -> str:
    return self.table()


def _number(x: Any) -> bool:
  return isinstance(x, int | float)


def plot(report: Any, ax: Any, metric: str) -> Any:
  """See `Report.plot`."""
  if metric not in ("ace", "macs"):
    raise unknown("plot metric", metric, ("ace", "macs"))
  if ax is None:
    try:
      import matplotlib.pyplot as plt
    except ImportError as error:
      raise ImportError(
        "`Report.plot` needs matplotlib: pip install 'bnnjax[plots]'."
      ) from error
    ax = plt.subplots(figsize=(8, 4), layout="constrained")[1]
  layers = list(dict.fromkeys(r.path or "(top)" for r in report.rows))
  bottom = dict.fromkeys(layers, 0)
  for key in report.macs:
    heights = dict.fromkeys(layers, 0)
    for r in report.rows:
      if (r.w_bits, r.a_bits) == key:
        heights[r.path or "(top)"] += getattr(r, metric)
    used = [k for k in layers if heights[k]]
    ax.bar(
      [layers.index(k) for k in used],
      [heights[k] for k in used],
      bottom=[bottom[k] for k in used],
      label="w{}a{}".format(*key),
    )
    for k in used:
      bottom[k] += heights[k]
  ax.set_xticks(range(len(layers)), layers, rotation=90, fontsize=6)
  ax.set_ylabel("ACE" if metric == "ace" else "MACs")
  ax.legend()
  return ax


def human(x: Any) -> str:
  """`1_234` as `1,234`; floats with four digits."""
  if isinstance(x, bool) or x is None:
    return "" if x is None else str(x)
  if isinstance(x, int):
    return f"{x:,}"
  if isinstance(x, float):
    return f"{x:,.0f}" if x.is_integer() and abs(x) < 1e15 else f"{x:,.4g}"
  return str(x)


def text_of(
  columns: Sequence[str],
  rows: Sequence[Sequence[Any]],
  definitions: Mapping[str, str],
  format: str,
  title: str = "",
  below: Sequence[str] = (),
) -> str:
  """One table, its remarks, and what its columns mean.

  Raises:
    ValueError: unknown format.
  """
  if format not in FORMATS:
    raise unknown("table format", format, FORMATS)
  if format == "csv":
    return _csv(columns, rows, definitions, below)
  if format == "markdown":
    return _markdown(columns, rows, definitions, title, below)
  from rich.console import Console

  width = 40 + 16 * len(columns)
  console = Console(file=io.StringIO(), width=max(width, 100))
  console.print(rich_table(columns, rows, definitions, title, below))
  return console.file.getvalue()


def _csv(columns, rows, definitions, below) -> str:
  out = io.StringIO()
  writer = csv.writer(out, lineterminator="\n")
  writer.writerow(columns)
  writer.writerows(rows)
  for line in below:
    out.write(f"# {line}\n")
  for name, text in definitions.items():
    out.write(f"# {name}: {text}\n")
  return out.getvalue()


def _markdown(columns, rows, definitions, title, below) -> str:
  numeric = _numeric(columns, rows)
  lines = [f"**{title}**", ""] if title else []
  lines.append("| " + " | ".join(columns) + " |")
  lines.append("|" + "|".join("--:" if n else ":--" for n in numeric) + "|")
  for row in rows:
    cells = (human(x).replace("|", "\\|") for x in row)
    lines.append("| " + " | ".join(cells) + " |")
  lines += ["", *(f"- {line}" for line in below)] if below else []
  lines += ["", *(f"- {k}: {v}." for k, v in definitions.items())]
  return "\n".join(lines) + "\n"


def _numeric(columns, rows) -> list[bool]:
  return [
    bool(rows)
    and all(isinstance(r[i], int | float) or r[i] in ("", None) for r in rows)
    for i in range(len(columns))
  ]


def rich_table(columns, rows, definitions, title, below) -> Any:
  """The table as a rich renderable."""
  from rich.console import Group
  from rich.table import Table
  from rich.text import Text

  table = Table(title=title or None, title_justify="left")
  for name, numeric in zip(columns, _numeric(columns, rows)):
    table.add_column(
      name, justify="right" if numeric else "left", overflow="fold"
    )
  for row in rows:
    table.add_row(*(Text(human(x)) for x in row))
  texts = [Text(line) for line in below]
  texts += [Text(f"{k}: {v}.", style="dim") for k, v in definitions.items()]
  return Group(table, *texts)
