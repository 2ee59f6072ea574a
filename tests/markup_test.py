"""HTML for notebooks."""

import html.parser
import re

import jax
import jax.numpy as jnp

import bnnjax as bx
from bnnjax import markup
from bnnjax.report.runs import Runs
from tests.report import pareto_records

ODD = '<script>alert("x")</script>'


class Balanced(html.parser.HTMLParser):
  """Checks that every element is closed; counts them."""

  def __init__(self, text):
    super().__init__()
    self.open, self.tags = [], []
    self.feed(text)
    assert not self.open

  def handle_starttag(self, tag, attrs):
    self.open.append(tag)
    self.tags.append(tag)

  def handle_endtag(self, tag):
    assert self.open.pop() == tag


def test_a_table_escapes_and_aligns():
  rows = [["x-1", "1,024"], [ODD, "-0.5"], ["81 ± 2", "+1.0 [-0.5, +2.5]"]]
  text = markup.table(["a", ODD], rows, ODD)
  assert "<script>" not in text
  assert "<td>x-1</td>" in text
  assert '<td class="n">1,024</td>' in text
  assert '<td class="n">-0.5</td>' in text
  assert '<td class="n">81 ± 2</td><td class="n">+1.0 [-0.5, +2.5]' in text
  assert "<td>8x8 . 8x4</td>" in markup.table(["a"], [["8x8 . 8x4"]])
  assert Balanced(text).tags.count("td") == 6
  assert text.count("&lt;script&gt;") == 3


def test_lists_and_folds():
  assert markup.items([]) == markup.folded("title", "") == ""
  assert markup.items(["a < b"]) == "<ul><li>a &lt; b</li></ul>"
  Balanced(markup.folded("title", markup.items(["a"])))


def test_what_a_notebook_shows_has_the_colours_of_the_notebook():
  def named(w, x):
    return x @ bx.tag(jnp.sign(w), 1)

  named.__name__ = ODD
  one = jax.ShapeDtypeStruct((1, 8), jnp.float32)
  cost = bx.count(named, jax.ShapeDtypeStruct((8, 4), jnp.float32), one)
  records = pareto_records.make(ODD, [90.0, 91.0])
  shown = {
    "cost": cost,
    "comparison": cost.compare(cost),
    "check": bx.check("ste"),
    "runs": Runs(records),
    "table": Runs(records).table(),
    "no runs": Runs([]),
  }
  for name, thing in shown.items():
    text = thing._repr_html_()
    assert "<script>" not in text, name
    assert not re.search(r"color|background|#[0-9a-f]{3}", text), name
    Balanced(text)
  assert '<td class="n">512</td>' in cost._repr_html_()  # 32 MACs x 1 x 16
  assert shown["no runs"]._repr_html_() == "&lt;0 runs&gt;"
