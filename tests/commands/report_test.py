"""`bnnjax report`: writes a page, or says that it is stale."""

import pytest

from bnnjax import cli
from bnnjax.report import markers

PAGE = "# Title\n\n| a |\n|---|\n"
TEXT = "<!-- table: page.md -->\n{}<!-- /table -->\n"


def test_writing_and_checking(run, tmp_path):
  (tmp_path / "page.md").write_text(PAGE)
  file, link = tmp_path / "x.md", tmp_path / "link.md"
  file.write_text(TEXT.format("old\n"))
  link.symlink_to(file)
  assert run("report", link, "--check") == (1, f"{link} is stale\n", "")
  assert run("report", link) == (0, "", "")
  assert file.read_text() == TEXT.format("| a |\n|---|\n")
  assert link.is_symlink()
  assert run("report", file, "--check") == (0, f"{file} is up to date\n", "")


def test_mistakes(run, tmp_path):
  status, out, err = run("report", tmp_path / "nope.md")
  assert (status, out) == (2, "")
  assert "There is no markdown file" in err
  page = tmp_path / "page.md"
  page.write_text("# nothing\n")
  status, _, err = run("report", page)
  assert status == 2
  assert "<!-- results: FILE.jsonl -->" in " ".join(err.split())
  page.write_bytes(b"\xff")
  assert "is not UTF-8 text" in run("report", page)[2]


def test_help_shows_the_markers(capsys):
  with pytest.raises(SystemExit):
    cli.main(["report", "-h"])
  assert markers.SYNTAX in capsys.readouterr().out
