"""`bnnjax report`: writes a page, or says that it is stale."""

import pytest

from bnnjax import cli
from bnnjax.report import markers
from tests.report.made_records import make, write

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


def test_a_mixed_row_names_options_of_the_command(run, tmp_path):
  file = tmp_path / "x.jsonl"
  write(file, [make(changes={"epochs": n}) for n in (1, 2)])
  status, _, err = run("report", file, "--by=method")
  assert status == 2
  assert "Group by `--by=method,epochs`, or filter" in " ".join(err.split())
  assert run("report", file, "--by=method,epochs")[0] == 0


def test_help_shows_the_markers(capsys):
  with pytest.raises(SystemExit):
    cli.main(["report", "-h"])
  assert markers.SYNTAX in capsys.readouterr().out


@pytest.fixture
def records(tmp_path):
  made = [
    make(method, seed, mean + 0.01 * ((seed + i) % 2))
    for i, (method, mean) in enumerate({"ste": 0.7, "float": 0.9}.items())
    for seed in range(3)
  ]
  return write(tmp_path / "r.jsonl", made)


def test_tables_of_records(run, records, tmp_path):
  status, out, err = run("report", records, "--by=method")
  assert (status, err) == (0, "")
  assert "| `float` | 90.67 ± 0.58 | 3 | a |" in out
  assert run("report", tmp_path, "--by=method") == (0, out, "")
  assert run("report", records)[1].count("`net-method=") == 2
  _, out, _ = run("report", records, "--filter=method=ste", "--filter=seed=1")
  assert out.count("| `") == 1
  assert "| `net-method=ste` | 71.00 | 1 |" in out
  _, out, _ = run("report", records, "--by=method", "--baseline=ste", "--csv")
  assert out.startswith("task,method,metric,mean")
  around = run("report", records, "--csv", records, "--by=method")
  assert around[::2] == (0, "")  # files on both sides of a flag
  latex = run("report", records, "--latex")[1]
  file = tmp_path / "table.tex"
  assert run("report", records, "--latex", "--out", file) == (0, "", "")
  assert file.read_text() == latex
  assert r"\begin{tabular}" in latex


def test_what_is_skipped_is_said(run, records, tmp_path):
  with records.open("a") as file:
    file.write('{"id": "half')
  (tmp_path / "empty.jsonl").touch()
  status, out, err = run("report", tmp_path)
  assert status == 0
  assert out.count("`net-method=") == 2
  assert f"{records}, line 7 is not JSON" in err
  assert "empty.jsonl is empty; it is skipped." in err


def test_mistakes_with_records(run, records, tmp_path):
  other = tmp_path / "benchmarks.jsonl"
  other.write_text('{"benchmark": "step"}\n')
  page, folder = tmp_path / "page.md", tmp_path / "folder"
  page.touch()
  folder.mkdir()
  for arguments, message in (
    (["nope.jsonl"], "no file or folder 'nope.jsonl'"),
    ([folder], "hold no *.jsonl files"),
    ([other], "There are no records"),
    ([records, page], "Give one markdown file, or files of records"),
    ([page, "--csv"], "--csv is for files of records"),
    ([records, "--check"], "--check is for a markdown file"),
    ([records, "--csv", "--latex"], "Give one of --csv and --latex"),
    ([records, "--html=x.html", "--csv"], "leave out --csv"),
    ([records, "--by=metod"], "Unknown field 'metod'. Did you mean 'method'"),
    ([records, "--by=bits,,x"], "each once"),
    ([records, "--metric=f1"], "Unknown metric 'f1'"),
    ([records, "--baseline=x"], "Unknown row 'x'"),
    ([records, "--filter=bits"], "--filter takes FIELD=VALUE"),
    ([records, "--filter=bits=w9a9"], "No run has bits = w9a9"),
    ([records, f"--out={folder}"], "cannot be written"),
    ([records, "--html=nowhere/x.html"], "cannot be written"),
  ):
    status, out, err = run("report", *arguments)
    assert (status, out) == (2, ""), arguments
    assert message in " ".join(err.split()), arguments


def test_the_records_are_never_replaced(run, records, tmp_path):
  before = records.read_text()
  for option in (f"--out={records}", f"--html={records}"):
    for given in (records, tmp_path, tmp_path / "*.jsonl"):
      status, _, err = run("report", given, option)
      assert (status, "read by this command" in " ".join(err.split())) == (
        2,
        True,
      )
  assert records.read_text() == before
