"""What an error says to the person who gave the command, and its exit code."""

import errno
import logging
import os
import re
import signal
import warnings
import zlib

import pytest

from bnnjax import cli, errors

MINI = "configs/fashion_mnist_mini_pokebnn.py"


def fail(monkeypatch, capsys, error, *flags):
  """A command that raises."""

  def command(args):
    raise error

  monkeypatch.setitem(cli.COMMANDS, "list", command)
  status = cli.main(["list", *flags])
  out, err = capsys.readouterr()
  assert not out
  return status, err


class JaxRuntimeError(RuntimeError):
  """As jax's is called."""


@pytest.mark.parametrize(
  ("error", "message"),
  [
    (errors.UserError("Say  it.\nSo."), "Say it. So."),
    (
      JaxRuntimeError("RESOURCE_EXHAUSTED: 16 bytes"),
      "lower `data.batch_size`",
    ),
    (MemoryError(), "lower `data.batch_size`"),
    (OSError(errno.ENOSPC, "x", "f"), "disk is full: 'f' could not be written"),
    (JaxRuntimeError("x: No space left on device"), "The disk is full."),
    (FileNotFoundError(errno.ENOENT, "No such file", "f"), "No such file: 'f'"),
    (ImportError("No module named 'x'"), "No module named 'x'"),
    (EOFError("short"), "damaged, or of another kind"),
    (zlib.error("bad"), "damaged, or of another kind"),
    (
      RuntimeError("Unable to initialize backend 'x': y"),
      "JAX finds no device",
    ),
    (UnicodeEncodeError("ascii", "aé", 1, 2, "no"), "PYTHONIOENCODING=utf-8"),
    (ValueError("a" * 9000), "aaa...aaa"),
    (ValueError("\x1b[31m\0"), r"\x1b[31m\x00"),
  ],
)
def test_what_a_person_can_mend(monkeypatch, capsys, error, message):
  status, err = fail(monkeypatch, capsys, error)
  assert status == 2
  said, debug = err.rsplit("\n", 2)[:2]
  assert said.startswith("bnnjax list:")
  assert "\n\n" not in said
  assert message in said.replace("\n", " ")
  assert debug == "(--debug shows where.)"
  assert len(err) < 3000


def test_what_nobody_foresaw_is_a_fault_of_ours(monkeypatch, capsys):
  def command(args):
    return errors.one_paragraph(3)  # an AttributeError inside the package

  monkeypatch.setitem(cli.COMMANDS, "list", command)
  assert cli.main(["list"]) == 70
  err = " ".join(capsys.readouterr().err.split())
  assert re.search(
    r"list: AttributeError: .*\(bnnjax/errors\.py:\d+\)\. This is a fault of",
    err,
  )
  assert "Traceback" not in err
  # A ValueError that nothing of ours has raised says nothing to anybody.
  monkeypatch.setitem(
    cli.COMMANDS, "list", lambda args: errors._shortened("", "")
  )
  assert cli.main(["list"]) == 70
  capsys.readouterr()
  assert cli.main(["list", "--debug"]) == 70
  assert "Traceback" in capsys.readouterr().err


def test_stopping(monkeypatch, capsys):
  class Stopped(BaseException):
    exit_code = 143

  assert fail(monkeypatch, capsys, KeyboardInterrupt()) == (130, "Stopped.\n")
  assert fail(monkeypatch, capsys, Stopped("Saved.")) == (143, "Saved.\n")
  assert fail(monkeypatch, capsys, BrokenPipeError())[0] == 141

  def command(args):
    os.kill(os.getpid(), signal.SIGTERM)
    signal.pause()

  before = signal.getsignal(signal.SIGTERM)
  monkeypatch.setitem(cli.COMMANDS, "list", command)
  assert cli.main(["list"]) == 143
  assert capsys.readouterr().err == "Stopped.\n"
  assert signal.getsignal(signal.SIGTERM) is before


def test_warnings_are_lines_of_ours(monkeypatch, capsys):
  def command(args):
    warnings.warn("Mind\nthis.", stacklevel=1)
    logging.getLogger("absl").warning("read_only")
    return 0

  level = logging.getLogger("absl").level
  monkeypatch.setitem(cli.COMMANDS, "list", command)
  with warnings.catch_warnings():
    warnings.simplefilter("always")
    assert cli.main(["list"]) == 0
  assert capsys.readouterr().err == "bnnjax list: warning: Mind this.\n"
  assert logging.getLogger("absl").level == level


@pytest.mark.parametrize(
  ("text", "message"),
  [
    ("1 / 0", "does not run: ZeroDivisionError: division by zero"),
    ("{}['a']", "does not run: KeyError: 'a'"),
    ("\ndef f(:", "does not run: SyntaxError: invalid syntax"),
    ("import sys; sys.exit(3)", "does not run: SystemExit: 3"),
    ("import nope_nope", "does not run: ModuleNotFoundError"),
    ("raise ValueError('of mine')", "bnnjax list: of mine"),
    ("int('x')", "does not run: ValueError: invalid literal"),
  ],
)
def test_a_file_of_load_that_does_not_run(capsys, tmp_path, text, message):
  file = tmp_path / "x.py"
  file.write_text(text)
  assert cli.main(["list", f"--load={file}"]) == 2
  err = " ".join(capsys.readouterr().err.split())
  assert message in err
  if "of mine" not in message:
    assert f"({file}, line {1 + text.startswith(chr(10))})." in err
