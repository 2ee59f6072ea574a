"""Settings of Sphinx, for `python3 dev.py docs`.

The pages need no network: fonts are those of the system, and formulas are
MathML, which browsers draw themselves.
"""

import os
import re

from docutils import nodes
from latex2mathml import converter

os.environ.setdefault("JAX_PLATFORMS", "cpu")

project = "bnnjax"
author = "the authors of bnnjax"
extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon"]
exclude_patterns = ["_build"]
myst_enable_extensions = ["dollarmath"]
myst_heading_anchors = 3

html_theme = "furo"
html_title = "bnnjax"
html_static_path = ["_static"]
html_css_files = ["tables.css"]
html_copy_source = False
html_show_copyright = False
html_math_renderer = "mathml"

autodoc_typehints = "none"
autodoc_preserve_defaults = True
autodoc_member_order = "bysource"
napoleon_use_ivar = True  # fields of a class are described once


def _inline(self, node):
  self.body.append(converter.convert(node.astext()))
  raise nodes.SkipNode


def _block(self, node):
  made = converter.convert(node.astext(), display="block")
  self.body.append(f'<div class="formula">{made}</div>')
  raise nodes.SkipNode


def _as_rst(app, what, name, obj, options, lines):
  """Docstrings write code as markdown does; Sphinx reads reStructuredText."""
  del app, what, name, obj, options
  text = "\n".join(lines)
  text = re.sub(r"(?<!`)`([^`]+)`(?!`)", r"``\1``", text)
  text = re.sub(r"(?<=\w``)(?=\w)", r"\\ ", text)  # `Linear`s
  # Arguments of any number, such as `*args, **kwargs: of the call`.
  text = re.sub(
    r"^ +\*[\w*, ]+:", lambda m: m[0].replace("*", r"\*"), text, flags=re.M
  )
  # A block of code, which is indented more than the arguments are.
  text = re.sub(r"^(\S.*\n)\n(?=    )", r"\1\n::\n\n", text, flags=re.M)
  lines[:] = text.split("\n")


def _without_outside(app, name, content):
  """Links to files that are no pages become text: the pages stand alone."""
  del app, name
  content[0] = re.sub(r"\[([^\]]+)\]\(\.\./[^)]+\)", r"\1", content[0])


def setup(app):
  app.add_html_math_renderer("mathml", (_inline, None), (_block, None))
  # Before napoleon, which has the priority 500.
  app.connect("autodoc-process-docstring", _as_rst, priority=400)
  app.connect("source-read", _without_outside)
