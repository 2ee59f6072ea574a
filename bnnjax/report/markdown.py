"""Markdown: tables, and texts of records without the markup they may hold."""

import re
from collections.abc import Iterable, Sequence

from bnnjax import errors

# What markdown and HTML show as it is.
_PLAIN = re.compile(r"[\w .,:;=+/()@%#-]*", re.A)
# What stands in backticks as it is, in the cell of a table too.
_CODE = re.compile(r"[^`|<>&\\]+")
_READABLE = "±[]'"  # no markup in the cell of a table or inside a sentence
_BEFORE_TARGET = re.compile(r"\](?=[(\[:])")  # of a link
_INSIDE_WORD = re.compile(r"(?<=[a-zA-Z0-9])&#95;(?=[a-zA-Z0-9])")


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
  """A table; every line has a cell for each heading.

  Args:
    head: the headings.
    rows: cells in markdown. A `|` in them does not end the cell.

  Raises:
    ValueError: a row has fewer or more cells.
  """
  lines = [_line(head), "|---" * len(head) + "|\n"]
  for row in rows:
    if len(row) != len(head):
      raise ValueError(f"A row of {len(row)} cells under {len(head)} headings.")
    lines.append(_line(row))
  return "".join(lines)


def _line(cells: Iterable[str]) -> str:
  plain = (" ".join(cell.split()).replace("|", r"\|") for cell in cells)
  return f"| {' | '.join(plain)} |\n"


def code(text: str) -> str:
  """A name as code, whatever characters it has."""
  if text == errors.one_paragraph(text) and _CODE.fullmatch(text):
    return f"`{text}`"
  return f"<code>{_escape(text)}</code>"


def plain(text: str) -> str:
  """Text in one line, all of whose characters are shown as they are."""
  escaped = _escape(text)
  for letter in _READABLE:
    escaped = escaped.replace(f"&#{ord(letter)};", letter)
  escaped = _BEFORE_TARGET.sub("&#93;", escaped)
  return _INSIDE_WORD.sub("_", escaped)


def _escape(text: str) -> str:
  return "".join(
    c if c.isalnum() or (_PLAIN.fullmatch(c) and c != "_") else f"&#{ord(c)};"
    for c in errors.one_paragraph(text)
  )
