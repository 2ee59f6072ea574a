"""Markdown: cells and texts, whatever they hold."""

import pytest

from bnnjax.report import markdown


def test_every_line_of_a_table_has_the_same_cells():
  text = markdown.table(("a", "b"), [("1|2", "x\ny"), ("", "`c`")])
  assert text == "| a | b |\n|---|---|\n| 1\\|2 | x y |\n|  | `c` |\n"
  with pytest.raises(ValueError, match="1 cells under 2 headings"):
    markdown.table(("a", "b"), [("1",)])


def test_names_are_code():
  assert markdown.code("net-lr=0.1_x") == "`net-lr=0.1_x`"
  assert markdown.code("SAB's train[10:], 4 × 4") == "`SAB's train[10:], 4 × 4`"
  assert markdown.code("a\n") == "<code>a</code>"
  assert markdown.code("a|`b`") == "<code>a&#124;&#96;b&#96;</code>"
  assert markdown.code("") == "<code></code>"


def test_text_has_no_markup():
  assert markdown.plain("a_b ± [1, 2] 'x'") == "a_b ± [1, 2] 'x'"
  assert markdown.plain("_a_ *b* <i>") == (
    "&#95;a&#95; &#42;b&#42; &#60;i&#62;"
  )
  assert markdown.plain("[x](y) [x][y] [x]: y") == (
    "[x&#93;(y) [x&#93;[y] [x&#93;: y"
  )
  assert markdown.plain("a\n\u2028b") == "a b"
