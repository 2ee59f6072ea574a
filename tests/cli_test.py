"""The program: what a person reads, and its exit codes."""

import dataclasses
import logging
import os
import re
import signal
import subprocess
import sys
import warnings

import pytest

from bnnjax import cli, errors

MINI = "configs/fashion_mnist_mini_pokebnn.py"


def run(capsys, *arguments):
  status = cli.main(arguments)
  out, err = capsys.readouterr()
  return status, out, err


def answer(monkeypatch, capsys, command, *flags):
  """Status, output and error of a command that does this."""
  answering = dataclasses.replace(cli.COMMANDS["list"], run=command)
  monkeypatch.setitem(cli.COMMANDS, "list", answering)
  return run(capsys, "list", *flags)


def raising(error):
  def command(args):
    raise error

  return command


@pytest.mark.parametrize(
  ("arguments", "message"),
  [
    (["train", "--config=configs/nothing.py"], "no config file 'configs/nothing.py'"),
    (["train", f"--config={MINI[:-4]}.py"], f"Did you mean '{MINI}'"),
    (["train", f"--config={MINI}:smok"], "Did you mean 'smoke'"),
    (["train", f"--config={MINI}:width=x"], "expected `width=float`"),
    (["train", f"--config={MINI}", "--config.optim.lrr=1"], "Did you mean 'config.optim.lr'"),
    (["train", f"--config={MINI}", "--config.optim.lr=x"], "must be a number"),
    (["train", f"--config={MINI}", "--foo=1"], "Unknown argument '--foo'"),
    (["cost", "--config=configs/imagenet_pokebnn.py:width=1.4"], "Nearest legal widths: 1.0, 1.25"),
    (["train", "--config=configs/cifar10_pokebnn.py"], "tfds build cifar10"),
    (["cost", "jax.numpy:dot", "--shape=-2,4"], "written 1,224,224,3"),
    (["cost", "jax.numpy:dot", "--shape=2", "--params=x"], "--params is written 0,2"),
    (["cost", f"--config={MINI}", "--shape=2"], "belong to MODULE:FUNCTION"),
    (["cost", "jax.numpy:dot", "--shape=2", "--foo"], "Unknown argument '--foo'"),
    (["train", "--config=README.md"], "README.md does not run: SyntaxError"),
    (["train", f"--config={MINI}", "--config.model.weigth=ste"], "Did you mean 'weight'"),
    (["cost", "jax.numpy:dot", "--shape=--"], "--shape needs a value"),
    (["cost"], "Give one of --config=FILE, --compare A B or MODULE:FUNCTION"),
    (["cost", "jax.numpy"], "Write 'jax.numpy' as package.module:function"),
    (["cost", "jax.numpyy:dot", "--shape=1"], "Cannot import 'jax.numpyy'"),
    (["cost", "jax.numpy:dott", "--shape=1"], "Did you mean 'dot'"),
    (["cost", "jax.numpy:dot"], "Give the shapes of jax.numpy:dot's arguments"),
    (["cost", "jax.numpy:dot", "--shape=3x4"], "written 1,224,224,3 or 1,128:int32"),
    (["eval", "--workdir=/nothing"], "/nothing holds no run"),
    (["cost", f"--config={MINI}:a\0"], "must be UTF-8, without NUL"),
    (["eval", "--workdir=a\udcff"], "must be UTF-8, without NUL"),
    (["cost", "sys:exit", "--shape=3"], "SystemExit"),
    (["list", "estimators"], "Did you mean 'estimator'"),
    (["sweep", "experiments/nothing.py"], "No experiment 'experiments/nothing.py'"),
  ],
)  # fmt: skip
def test_mistakes_get_one_paragraph(capsys, tmp_path, arguments, message):
  if arguments[0] == "train":
    arguments = [*arguments, f"--workdir={tmp_path / 'run'}"]
  status, out, err = run(capsys, *arguments)
  assert status == 2
  assert message in " ".join(err.split())
  assert "Traceback" not in err
  assert not out
  assert not (tmp_path / "run").exists()


def test_import_is_light_and_free_of_tensorflow():
  code = (
    "import sys, bnnjax; assert 'jax' not in sys.modules;"
    "bnnjax.Linear, bnnjax.count, bnnjax.build;"
    "assert 'tensorflow' not in sys.modules"
  )
  subprocess.run([sys.executable, "-c", code], check=True, timeout=120)


def test_errors_of_flags_paths_and_fields_need_no_jax(tmp_path):
  """Hence they take a tenth of a second."""
  lines = [
    ["train", "--config=configs/nope.py"],
    ["train", f"--config={MINI}", "--config.optm.lr=1"],
    ["train", f"--config={MINI}", "--config.model=3"],
    ["cost", "--compare", MINI, "configs/nope.py"],
    ["cost"],
    ["eval", "--workdir=/nope"],
    ["sample", f"--workdir={tmp_path}"],
    ["sweep", "nope.py"],
    ["report", "nope.md"],
    ["pareto", "nope.jsonl", "--axis=nope"],
    ["list", "--load=nope.py"],
    ["new", "x"],
    ["trian"],
    ["train", "--confg=x"],
    [],
  ]
  code = (
    "import sys; from bnnjax import cli\n"
    f"for line in {lines!r}:\n"
    "  assert cli.main(line) == 2, line\n"
    "  assert not {'jax', 'flax', 'numpy'} & set(sys.modules), line\n"
  )
  done = subprocess.run(
    [sys.executable, "-c", code], capture_output=True, text=True, timeout=120
  )
  assert done.returncode == 0, done.stderr
  assert done.stderr.count("bnnjax") >= len(lines)


def test_an_error_is_one_paragraph(monkeypatch, capsys):
  command = raising(errors.UserError(f"Say  it.\nSo. {'word ' * 60}"))
  status, out, err = answer(monkeypatch, capsys, command)
  assert (status, out) == (cli.USER, "")
  said, debug = err.rsplit("\n", 2)[:2]
  assert said.startswith("bnnjax list: Say it. So. word")
  assert max(map(len, said.splitlines())) <= cli.WIDTH
  assert "\n\n" not in said
  assert debug == "(--debug shows where.)"


def test_what_nobody_foresaw_is_a_fault_of_ours(monkeypatch, capsys):
  # An AttributeError inside the package.
  command = lambda args: errors.one_paragraph(3)  # noqa: E731
  status, _, err = answer(monkeypatch, capsys, command)
  assert status == cli.FAULT
  assert re.search(
    r"list: AttributeError: .*\(bnnjax/errors\.py:\d+\)\. This is a fault of",
    " ".join(err.split()),
  )
  assert "Traceback" not in err
  status, _, err = answer(monkeypatch, capsys, command, "--debug")
  assert status == cli.FAULT
  assert "Traceback" in err


def test_stopping(monkeypatch, capsys):
  class Stopped(BaseException):
    exit_code = 143

  for error, code, said in (
    (KeyboardInterrupt(), 130, "Stopped.\n"),
    (Stopped("Saved."), 143, "Saved.\n"),
    (BrokenPipeError(), 141, ""),
  ):
    found = answer(monkeypatch, capsys, raising(error))
    assert found == (code, "", said)

  def command(args):
    os.kill(os.getpid(), signal.SIGTERM)
    signal.pause()

  before = signal.getsignal(signal.SIGTERM)
  found = answer(monkeypatch, capsys, command)
  assert found == (143, "", "Stopped.\n")
  assert signal.getsignal(signal.SIGTERM) is before


def test_warnings_are_lines_of_ours(monkeypatch, capsys):
  def command(args):
    warnings.warn("Mind\nthis.", stacklevel=1)
    logging.getLogger("absl").warning("read_only")
    return 0

  level = logging.getLogger("absl").level
  with warnings.catch_warnings():
    warnings.simplefilter("always")
    found = answer(monkeypatch, capsys, command)
  assert found == (0, "", "bnnjax list: warning: Mind this.\n")
  assert logging.getLogger("absl").level == level
