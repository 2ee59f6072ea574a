"""Pages whose tables are generated: `bnnjax report FILE`."""

import importlib
import os
import pathlib
import re
from collections.abc import Iterator

from bnnjax import deprecated
from bnnjax.errors import UserError
from bnnjax.report import markdown, markers, methods, reading
from bnnjax.report import runs as runs_lib

PACKAGE = pathlib.Path(__file__).parents[1]


def refresh(text: str, root: os.PathLike) -> str:
  """Regenerates everything between markers.

  Args:
    text: markdown.
    root: folder that the files of markers are relative to.

  Raises:
    UserError: a file is missing or outside the folder, a marker is not closed,
      a line of a file of records is none, or a record lacks the metric.
  """
  return markers.replace(text, makers(root))[0]


def makers(root: os.PathLike) -> markers.Makers:
  """For each kind of marker, what makes the lines; files lie in `root`."""

  def results(name: str) -> str:
    runs = runs_lib.load(markers.inside(root, name))
    if runs.skipped:  # a page of results must not lack some of them
      raise UserError(
        f"The marker `results: {name}` is for a file of records only:"
        f" {'; '.join(map(str, runs.skipped[: reading.SHOWN]))}."
      )
    return runs.table().to_markdown()

  def table(name: str) -> str:
    path = markers.inside(root, name)
    try:
      page = path.read_text("utf-8")
    except UnicodeDecodeError as error:
      raise UserError(f"{path} is not UTF-8 text ({error}).") from error
    found = re.search(r"(?:^\|.*\n)+", page, re.M)
    if found is None:
      raise UserError(
        f"The page {path} has no table (lines that begin with |)."
      )
    return found.group()

  return {
    "results": results,
    "table": table,
    "methods": lambda _: methods.method_table(),
    "moved": lambda _: moved_table(),
  }


def moved_table() -> str:
  """A markdown table of modules and names that moved since the last version."""
  rows = []
  for old, new in sorted(deprecated.MOVED.items()):
    rows.append(([old], new))
  for old, name in sorted(deprecated.RENAMED.items()):
    modules = deprecated.MOVED[old.rpartition(".")[0]]
    new = f"{modules[0]}.{name}" if len(modules) == 1 else name
    rows.append(([old], [new]))
  rows += [([old], [new]) for old, new in sorted(_left())]
  cells = [[", ".join(map(markdown.code, c)) for c in row] for row in rows]
  return markdown.table(("old", "new"), cells)


def _left() -> Iterator[tuple[str, str]]:
  """Names that left a module which stays, and their new places."""
  for path in PACKAGE.rglob("*.py"):
    if "\n__getattr__ = deprecated.old_names(" not in path.read_text():
      continue  # importing all of the package would take seconds
    inside = path.relative_to(PACKAGE.parent).with_suffix("")
    module = ".".join(inside.parts).removesuffix(".__init__")
    importlib.import_module(module)
    for old, new in deprecated.LEFT[module].items():
      yield f"{module}.{old}", new
