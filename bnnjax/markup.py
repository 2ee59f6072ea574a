"""Tables and lists as HTML, for notebooks.

Colours are those of the notebook, light or dark. All text is escaped.
"""

import html
import re
from collections.abc import Sequence

from bnnjax import errors

# Notebooks align cells to the right, which suits numbers alone.
STYLE = (
  "<style>.bnnjax th, .bnnjax td, .bnnjax caption {text-align: left}"
  " .bnnjax td.n {text-align: right; white-space: nowrap}</style>"
)
_NUMBER = re.compile(r"[+-]?\d[\d.,e+-]*( ± [\d.]+| \[[^]]+\]| %)?")


def text(given: str) -> str:
  """Text of a person or a record as HTML."""
  return html.escape(errors.one_paragraph(given))


def table(
  head: Sequence[str], rows: Sequence[Sequence[str]], caption: str = ""
) -> str:
  """A table; numbers, also with a spread or an interval, stand right."""
  title = f"<caption>{text(caption)}</caption>" if caption else ""
  headings = "".join(f"<th>{text(cell)}</th>" for cell in head)
  body = "".join(f"<tr>{''.join(map(_cell, row))}</tr>\n" for row in rows)
  return (
    f'{STYLE}<div class="bnnjax"><table>{title}<thead><tr>{headings}</tr>'
    f"</thead><tbody>\n{body}</tbody></table></div>"
  )


def _cell(given: str) -> str:
  number = ' class="n"' if _NUMBER.fullmatch(given) else ""
  return f"<td{number}>{text(given)}</td>"


def items(lines: Sequence[str]) -> str:
  """A list; empty without lines."""
  if not lines:
    return ""
  return f"<ul>{''.join(f'<li>{text(line)}</li>' for line in lines)}</ul>"


def folded(title: str, inside: str) -> str:
  """HTML that a click on its title shows; empty if there is nothing to show."""
  if not inside:
    return ""
  return f"<details><summary>{text(title)}</summary>{inside}</details>"
