"""`bnnjax report`: writes a page, or says that it is stale."""

import pytest

from bnnjax import cli
from bnnjax.report import markers

PAGE = "# Title\n\n| a |\n|---|\n"
TEXT = "<!-- table: page.md -->\n{}<!-- /table -->\n"


def run(capsys, *arguments):
  status = cli.main(["report", *map(str, arguments)])
  out, err = capsys.readouterr()
  return status, out, " ".join(err.split())


def test_writing_and_checking(capsys, tmp_path):
  (tmp_path / "page.md").write_text(PAGE)
  file, link = tmp_path / "x.md", tmp_path / "link.md"
  file.write_text(TEXT.format("old\n"))
  link.symlink_to(file)
  assert run(capsys, link, "--check") == (1, f"{link} is stale\n", "")
  assert run(capsys, link) == (0, "", "")
  assert file.read_text() == TEXT.format("| a |\n|---|\n")
  assert link.is_symlink()
  assert run(capsys, file, "--check") == (0, f"{file} is up to date\n", "")


def test_mistakes(capsys, tmp_path):
  status, out, err = run(capsys, tmp_path / "nope.md")
  assert (status, out) == (2, "")
  assert "There is no markdown file" in err
  page = tmp_path / "page.md"
  page.write_text("# nothing\n")
  status, _, err = run(capsys, page)
  assert status == 2
  assert "<!-- results: FILE.jsonl -->" in err
  page.write_bytes(b"\xff")
  assert "is not UTF-8 text" in run(capsys, page)[2]


def test_help_shows_the_markers(capsys):
  with pytest.raises(SystemExit):
    cli.main(["report", "-h"])
  assert markers.SYNTAX in capsys.readouterr().out
