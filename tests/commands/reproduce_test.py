import pathlib

import pytest

from bnnjax import cli

ROOT = pathlib.Path(__file__).parents[2]
FILE = """
from bnnjax.evidence.experiment import Claim, Experiment, Row

ROWS = (Row("a", "configs/x.py:a"), Row("b", "configs/x.py:b"))
EXPERIMENT = Experiment(
  title="A or B?",
  paper="A paper",
  claim="A beats B",
  rows=ROWS,
  claims=(Claim("a beats b", "a", "b"),),
  setting="A network.",
)
"""


@pytest.fixture
def folder(tmp_path):
  (tmp_path / "one.py").write_text(FILE)
  (tmp_path / "results").mkdir()
  return tmp_path


def test_list(folder, capsys):
  assert cli.main(["reproduce", "--list", f"--experiments={folder}"]) == 0
  assert "| A beats B | not run |" in capsys.readouterr().out
  assert not list(folder.glob("*.md"))


def test_from_records_writes_the_pages(folder, capsys):
  command = ["reproduce", "one", "--from-records", f"--experiments={folder}"]
  assert cli.main(command) == 0
  out = capsys.readouterr().out
  assert "not run: a beats b" in out
  assert f"{folder / 'one.md'}: written" in out
  assert "No row has all its seeds yet." in (folder / "one.md").read_text()
  assert "[one]" in (folder / "README.md").read_text()
  assert cli.main(command) == 0
  assert f"{folder / 'one.md'}: as before" in capsys.readouterr().out


@pytest.mark.parametrize(
  ("arguments", "says"),
  [
    ([], "Name an experiment"),
    (["ome", "--experiments={}"], "Did you mean 'one'"),
    (["one", "--experiments={}/nowhere"], "experiments are part of a clone"),
  ],
)
def test_wrong_arguments(folder, capsys, arguments, says):
  arguments = [a.format(folder) for a in arguments]
  assert cli.main(["reproduce", *arguments]) == 2
  assert says in " ".join(capsys.readouterr().err.split())
