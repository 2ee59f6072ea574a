"""The command line's arguments, their help and its examples."""

import pathlib
import re
import shlex

import pytest

from bnnjax import arguments, cli
from bnnjax.commands import COMMANDS
from bnnjax.errors import UserError
from bnnjax.train import config_file


def test_help_helps(capsys):
  for line in (["--help"], ["train", "--help"]):
    with pytest.raises(SystemExit, match="0"):
      cli.main(line)
    out = capsys.readouterr().out
    assert "bnnjax train --config=" in out


def test_examples_of_the_help_can_be_given(capsys):
  for command, described in COMMANDS.items():
    text = described.examples
    with pytest.raises(SystemExit):
      cli.main([command, "-h"])
    assert text in capsys.readouterr().out
    for line in text.replace("\\\n", " ").splitlines():
      if not line.startswith("  bnnjax"):
        continue
      words = shlex.split(line)[1:]
      assert words[0] == command
      args = arguments.parse(words)
      given = vars(args)
      for spec in (given.get("config"), *(given.get("compare") or ())):
        if spec:
          config_file.read(spec, args.overrides)
      for name in ("experiment", "file"):
        assert pathlib.Path(given.get(name, ".")).exists()


def test_overrides_are_kept_apart():
  args = arguments.parse(
    ["train", "--config=x.py", "--config.seed", "1", "--noconfig.a", "--fields"]
  )
  assert args.overrides == ["--config.seed=1", "--noconfig.a"]
  assert (args.config, args.fields, args.load) == ("x.py", True, [])


@pytest.mark.parametrize(
  ("line", "message"),
  [
    ("", "Give a command: train, eval"),
    ("trian", "Unknown command 'trian'. Did you mean 'train'"),
    ("train", "Give --config=..., e.g. `bnnjax train"),
    ("new x", "Give --arxiv=..., e.g. `bnnjax new my_sign"),
    ("sweep", "Give the experiment, e.g. `bnnjax sweep"),
    ("train --confg=x", "Unknown argument '--confg'. Did you mean '--config'"),
    ("eval --workdir=x --config.a=1", "Unknown argument '--config.a'"),
    ("eval --workdir=--", "--workdir needs a value, got '--'"),
    ("eval --workdir=x --checkpoint=bets", "Did you mean 'best'"),
    ("sample --workdir=x --tokens=y", "see `bnnjax sample -h`"),
  ],
)
def test_mistakes(line, message):
  with pytest.raises(UserError, match=re.escape(message)):
    arguments.parse(line.split())


def test_names_hold_what_every_command_takes():
  names = ["--workdir", "--checkpoint", "--load", "--debug"]
  assert arguments.names("eval") == names
