"""The files of `--load`, given or remembered."""

import argparse
import json

import pytest

from bnnjax import cli, plugin_files
from bnnjax.errors import UserError


def arguments(command="eval", load=(), workdir=""):
  return argparse.Namespace(command=command, load=load, workdir=workdir)


def test_given_files_come_before_remembered_ones(tmp_path):
  mine, old = tmp_path / "mine.py", tmp_path / "old.py"
  for file in (mine, old):
    file.write_text("")
  (tmp_path / "config.json").write_text(json.dumps({"load": [str(old)]}))
  given = [str(mine)]
  assert plugin_files.of(arguments(load=given, workdir=tmp_path)) == given
  assert plugin_files.of(arguments(workdir=tmp_path)) == [str(old)]
  assert not plugin_files.of(arguments("list", workdir=tmp_path))
  with pytest.raises(UserError, match="There is no file 'gone.py'"):
    plugin_files.of(arguments(load=["gone.py"]))


@pytest.mark.parametrize("text", ["", "[", "3", '{"load": 3}', '{"load": [3]}'])
def test_a_damaged_config_remembers_nothing(tmp_path, text):
  (tmp_path / "config.json").write_text(text)
  assert plugin_files.remembered(tmp_path) == []


def test_the_files_of_a_run_are_run_again(capsys, tmp_path):
  """A run names the files of --load; without them it says so."""
  (tmp_path / "config.json").write_text(json.dumps({"load": ["gone.py"]}))
  status = cli.main(["eval", f"--workdir={tmp_path}"])
  err = capsys.readouterr().err
  assert status == 2
  assert "was trained with --load=gone.py" in " ".join(err.split())
  mine = tmp_path / "mine.py"
  mine.write_text("raise ValueError('it ran')\n")
  for load, flags in (([str(mine)], []), (["gone.py"], [f"--load={mine}"])):
    (tmp_path / "config.json").write_text(json.dumps({"load": load}))
    status = cli.main(["eval", f"--workdir={tmp_path}", *flags])
    err = capsys.readouterr().err
    assert (status, "it ran" in err) == (2, True)
