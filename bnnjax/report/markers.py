"""Markers in a markdown file; the lines between them are generated.

A marker has a line of its own. Fenced blocks of code hold no markers.
"""

import os
import re
from collections.abc import Callable, Mapping
from pathlib import Path

from bnnjax.errors import UserError

SYNTAX = """\
  <!-- results: FILE.jsonl -->   what `bnnjax report FILE.jsonl` prints
  <!-- /results -->
  <!-- table: FILE.md -->        the first table of that page
  <!-- /table -->
  <!-- methods -->               the table of all methods
  <!-- /methods -->
  <!-- moved -->                 the table of old names and new ones
  <!-- /moved -->
"""
OPENS = re.compile(r"<!--\s*(?:(results|table):\s*(.*?)|(methods|moved))\s*-->")
FENCE = re.compile(r"\s{0,3}(```|~~~)")

Makers = Mapping[str, Callable[[str], str]]


def replace(text: str, makers: Makers) -> tuple[str, int]:
  """Replaces the lines between markers.

  Args:
    text: markdown.
    makers: for each kind of marker (`results`, `table`, ...), what makes the
      lines from the file that the marker names. Other markers stay.

  Returns:
    The new text, and the number of markers that were found.

  Raises:
    UserError: a marker is not closed; the message names its line.
  """
  lines, out, found = text.splitlines(keepends=True), [], 0
  fence, at = None, 0
  while at < len(lines):
    line = lines[at]
    out.append(line)
    at += 1
    fenced = FENCE.match(line)
    if fenced and fence in (None, fenced.group(1)):
      fence = None if fence else fenced.group(1)
    marker = None if fence else OPENS.fullmatch(line.strip())
    kind = marker and (marker.group(1) or marker.group(3))
    if kind not in makers:
      continue
    closing = f"<!-- /{kind} -->"
    end = next(
      (i for i in range(at, len(lines)) if lines[i].strip() == closing), None
    )
    if end is None:
      raise UserError(
        f"The marker `{line.strip()}` in line {at} is not closed: write"
        f" `{closing}` on a line of its own after it."
      )
    out.append(makers[kind](marker.group(2) or ""))
    at, found = end, found + 1
  return "".join(out), found


def inside(root: os.PathLike, name: str) -> Path:
  """The file that a marker names, in the folder of the markdown file.

  Raises:
    UserError: it lies elsewhere (links are followed), or does not exist.
  """
  root, path = Path(root), Path(root) / name
  if "\0" in name or ".." in Path(name).parts or Path(name).is_absolute():
    away = True
  else:
    try:
      away = not path.resolve().is_relative_to(root.resolve())
    except (OSError, RuntimeError) as error:  # links in a circle
      raise UserError(
        f"A marker names {str(path)!r}, which cannot be read ({error})."
      ) from error
  if away:
    raise UserError(
      f"A marker names {name!r}, which is outside the folder {str(root)!r} of"
      " the markdown file: name a file in it."
    )
  if not path.is_file():
    raise UserError(f"A marker names {str(path)!r}, which does not exist.")
  return path
