"""LaTeX: tables with the rules of the package booktabs."""

from collections.abc import Iterable, Sequence

from bnnjax import errors

_ESCAPED = {
  "\\": r"\textbackslash{}",
  "~": r"\textasciitilde{}",
  "^": r"\textasciicircum{}",
  "<": r"\textless{}",
  ">": r"\textgreater{}",
  "|": r"\textbar{}",
  '"': r"\textquotedbl{}",
  "±": r"$\pm$",
  "…": r"\ldots{}",
  "[": "{[}",  # after a line's end it would begin an option
  **{c: f"\\{c}" for c in "&%$#_{}"},
}


def tabular(
  head: Sequence[str],
  rows: Iterable[Sequence[str]],
  aligned: str,
  comments: Iterable[str] = (),
) -> str:
  """A `tabular`, with comments above it.

  Args:
    head: the headings, as text.
    rows: cells, as text.
    aligned: a letter for each column: `l` left, `r` right.
    comments: lines.
  """
  return "".join(
    [
      comment(comments),
      f"\\begin{{tabular}}{{{aligned}}}\n\\toprule\n",
      _line(head),
      "\\midrule\n",
      *map(_line, rows),
      "\\bottomrule\n\\end{tabular}\n",
    ]
  )


def comment(lines: Iterable[str]) -> str:
  """Lines that LaTeX leaves out."""
  return "".join(f"% {errors.one_paragraph(line)}\n" for line in lines)


def escape(text: str) -> str:
  """Text that LaTeX prints as it is, in one line."""
  return "".join(_ESCAPED.get(c, c) for c in errors.one_paragraph(text))


def _line(cells: Iterable[str]) -> str:
  return f"{' & '.join(map(escape, cells))} \\\\\n"
