"""Checks that several commands share."""

import argparse

import pytest

from bnnjax.commands import command
from bnnjax.errors import UserError

MINI = "configs/fashion_mnist_mini_pokebnn.py"


def test_a_config_and_the_fields_that_are_overridden_exist():
  args = argparse.Namespace(overrides=["--config.optim.lr=1"])
  command.check_config(MINI, args)
  with pytest.raises(UserError, match=f"Did you mean '{MINI}'"):
    command.check_config(MINI[:-4] + ".py", args)
  args.overrides.append("--config.optm.lr=1")
  with pytest.raises(UserError, match="optm"):
    command.check_config(MINI, args)


def test_a_workdir_holds_a_run(tmp_path):
  args = argparse.Namespace(workdir=str(tmp_path))
  with pytest.raises(UserError, match=r"holds no run: .*config.json does not"):
    command.check_run(args)
  (tmp_path / "config.json").write_text("{}")
  command.check_run(args)
  command.check_run(argparse.Namespace(workdir="gs://bucket/run"))
