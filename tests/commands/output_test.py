"""Files are written whole, never over an input, a device or a pipe."""

import os

import pytest

from bnnjax.commands import output
from bnnjax.errors import UserError


def test_what_cannot_be_written(tmp_path):
  (tmp_path / "a").symlink_to("b")
  (tmp_path / "b").symlink_to("a")
  os.mkfifo(tmp_path / "pipe")
  records = tmp_path / "r.jsonl"
  records.write_text("{}\n")
  (tmp_path / "link").symlink_to(records)
  for name, problem in {
    "a": "circle",
    ".": "is a folder",
    "none/x": "lies in none",
    "pipe": "device or a pipe",
    "r.jsonl": "is read by this command",
    "link": "is read by this command",
  }.items():
    with pytest.raises(UserError, match=problem):
      output.check(tmp_path / name, [str(records)])
  output.check(tmp_path / "new", [str(records)])
  output.check(records)


def test_all_files_or_none(tmp_path):
  old = tmp_path / "old"
  old.write_text("old")
  link = tmp_path / "link"
  link.symlink_to(old)
  with pytest.raises(FileNotFoundError):
    output.write({old: b"new", tmp_path / "none" / "x": b"new"})
  assert old.read_text() == "old"
  output.write({link: b"new"})
  assert (old.read_text(), link.is_symlink()) == ("new", True)
  assert sorted(os.listdir(tmp_path)) == ["link", "old"]
