"""Markers: where they stand, and what files they may name."""

import pytest

from bnnjax.report import markers


def test_replacing():
  makers = {"methods": lambda _: "new\n", "table": lambda name: f"{name}\n"}
  text = (
    "a\n<!-- methods -->\nold\n<!-- /methods -->\nb\n"
    "<!--table: x/y.md-->\n<!-- /table -->\n<!-- moved -->\n"
  )
  new, found = markers.replace(text, makers)
  assert found == 2  # nobody makes the third
  assert new == (
    "a\n<!-- methods -->\nnew\n<!-- /methods -->\nb\n"
    "<!--table: x/y.md-->\nx/y.md\n<!-- /table -->\n<!-- moved -->\n"
  )
  assert markers.replace(new, makers) == (new, 2)


def test_a_marker_is_closed():
  with pytest.raises(ValueError, match="in line 2 is not closed"):
    markers.replace("\n<!-- methods -->\n", {"methods": str})


def test_blocks_of_code_hold_no_markers():
  fenced = "```\n<!-- methods -->\n```\n"
  assert markers.replace(fenced, {"methods": str}) == (fenced, 0)


def test_every_marker_of_the_help_is_one():
  kinds = ("results", "table", "methods", "moved")
  _, found = markers.replace(
    markers.SYNTAX.replace("-->", "-->\n"),
    dict.fromkeys(kinds, str),
  )
  assert found == len(kinds)


def test_a_file_lies_inside_the_folder(tmp_path):
  (tmp_path / "in").mkdir()
  (tmp_path / "in" / "r.md").write_text("")
  assert markers.inside(tmp_path, "in/r.md") == tmp_path / "in" / "r.md"
  with pytest.raises(ValueError, match="does not exist"):
    markers.inside(tmp_path, "r.md")
  with pytest.raises(ValueError, match="outside the folder"):
    markers.inside(tmp_path / "in", "../in/r.md")
