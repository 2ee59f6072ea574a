"""What an error says to the person who gave the command."""

import errno
import runpy
import zlib

import pytest

from bnnjax import errors


def raised(error):
  """The error, with the traceback of having been raised."""
  try:
    raise error
  except BaseException as caught:
    return caught


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
def test_what_a_person_can_mend(error, message):
  said = errors.one_paragraph(errors.explain(raised(error)))
  assert message in said
  assert len(said) < 3000


def test_what_nobody_foresaw_is_a_fault_of_ours():
  """A TypeError that nothing of ours has raised says nothing to anybody."""
  with pytest.raises(TypeError) as caught:
    errors.nearest("x", 3)
  assert errors.explain(caught.value) is None
  assert "(bnnjax/errors.py:" in errors.fault(caught.value)


def test_a_typo_has_a_nearest_name():
  assert errors.nearest("st", ["ste", "float"]) == " Did you mean 'ste'?"
  assert errors.nearest("ste", ["ste"]) == ""
  assert str(errors.unknown("kind", "x", ["b", "a"])) == (
    "Unknown kind 'x'. Known: a, b."
  )


@pytest.mark.parametrize(
  ("text", "message"),
  [
    ("1 / 0", "does not run: ZeroDivisionError: division by zero"),
    ("{}['a']", "does not run: KeyError: 'a'"),
    ("\ndef f(:", "does not run: SyntaxError: invalid syntax"),
    ("import sys; sys.exit(3)", "does not run: SystemExit: 3"),
    ("import nope_nope", "does not run: ModuleNotFoundError"),
    ("raise ValueError('of mine')", "of mine"),
    ("int('x')", "does not run: ValueError: invalid literal"),
  ],
)
def test_a_file_that_does_not_run(tmp_path, text, message):
  file = tmp_path / "x.py"
  file.write_text(text)
  with pytest.raises(ValueError) as caught, errors.running(str(file)):
    runpy.run_path(str(file))
  said = errors.explain(caught.value)
  assert message in said
  if "of mine" not in message:
    assert f"({file}, line {1 + text.startswith(chr(10))})." in said
