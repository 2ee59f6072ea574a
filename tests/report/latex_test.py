"""LaTeX: tables and texts, whatever they hold."""

from bnnjax.report import latex


def test_names_are_printed_as_they_are():
  assert latex.escape("a_b$x^2\\{~}\n<é>[|") == (
    r"a\_b\$x\textasciicircum{}2\textbackslash{}\{\textasciitilde{}\}"
    r" \textless{}é\textgreater{}{[}\textbar{}"
  )


def test_a_table():
  assert latex.tabular(("a", "&"), [("%", "2")], "lr", ["x\n\\y"]) == (
    "% x \\y\n\\begin{tabular}{lr}\n\\toprule\na & \\& \\\\\n\\midrule\n"
    "\\% & 2 \\\\\n\\bottomrule\n\\end{tabular}\n"
  )
