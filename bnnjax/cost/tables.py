"""Tables as text: rich for terminals, markdown, CSV; definitions below."""

import csv
import io
from collections.abc import Mapping, Sequence
from typing import Any

from bnnjax.core.registry import unknown

FORMATS = ("rich", "markdown", "csv")


def human(x: Any) -> str:
  """`1_234` as `1,234`; floats with four digits."""
  if isinstance(x, bool) or x is None:
    return "" if x is None else str(x)
  if isinstance(x, int):
    return f"{x:,}"
  if isinstance(x, float):
    return f"{x:,.0f}" if x.is_integer() and abs(x) < 1e15 else f"{x:,.4g}"
  return str(x)


def render(
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
