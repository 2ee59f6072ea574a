"""A part of the hunt for command lines; `python -m tests.hunt --only commands`."""

import dataclasses

import pytest

from bnnjax import cli
from tests.hunt import commands, lines

SEED, COUNT = 0, 50


@pytest.fixture(scope="module")
def _folder():
  with commands.folder(text=False):
    yield


@pytest.mark.usefixtures("_folder")
def test_every_line_is_answered():
  tally = commands.hunt(COUNT, SEED, "call")
  assert tally.total == COUNT
  assert not tally.uncaught + tally.hung, f"seed {SEED}"
  assert tally.valid >= COUNT / 8
  assert tally.refused >= COUNT / 4


@pytest.mark.parametrize(
  ("code", "out", "err", "wrong"),
  [
    (70, "", "bnnjax list: x\n(--debug shows where.)\n", "exit 70"),
    (2, "", "Traceback\nbnnjax list: x\n(--debug shows where.)\n", "traceback"),
    (2, "", "bnnjax list: x\n\ny\n(--debug shows where.)\n", "one paragraph"),
    (2, "", "x\nbnnjax list: x\n(--debug shows where.)\n", "one paragraph"),
    (2, "", "bnnjax list: x\n", "no word of --debug"),
    (2, "", "bnnjax list: \x1b\n(--debug shows where.)\n", "control"),
    (2, "a", "bnnjax list: x\n(--debug shows where.)\n", "beside an error"),
    (0, "", "", "exit 0 with the output"),
    (0, "grad:\n", "WARNING:absl\n", "exit 0 with"),
    (0, "grad:\n", "bnnjax list: warning: x\n", ""),
    (2, "", "bnnjax list: x\n(--debug shows where.)\n", ""),
  ],
)
def test_the_judge_sees_faults(code, out, err, wrong):
  found = commands.judge(["list"], code, out, err)
  assert wrong in found
  assert bool(wrong) == bool(found)


@pytest.mark.usefixtures("_folder")
def test_a_fault_of_a_command_is_seen(monkeypatch):
  monkeypatch.setattr(lines, "SEEDS", ("list",))
  monkeypatch.setattr(lines, "MUTATIONS", (lambda r, argv: argv,))
  broken = dataclasses.replace(cli.COMMANDS["list"], run=len)
  monkeypatch.setitem(cli.COMMANDS, "list", broken)
  assert len(commands.hunt(2, SEED, "call").uncaught) == 2
