"""Errors for the person who gave a command, and what they say.

Code that finds a mistake of the person raises `UserError`, or, as functions for
Python callers do, a ValueError, TypeError or FloatingPointError with a message
of ours. `explain` turns any error into a sentence, and the command line prints
it.
"""

import contextlib
import difflib
import errno
import functools
import os
import pathlib
import sysconfig
import traceback
from collections.abc import Callable, Iterable, Iterator

OURS = pathlib.Path(__file__).resolve().parent
CONVENTION = (ValueError, TypeError, FloatingPointError)
LONGEST, WORD = 2000, 300  # characters of a message, and of a word in it


class UserError(ValueError):
  """A mistake of the person, and what would be right; printed as it is."""


def nearest(name: str, options: Iterable[str]) -> str:
  """A sentence that helps after a typo.

  Returns:
    `" Did you mean 'ste'?"`, or `""` when nothing is close.
  """
  name = str(name)[:LONGEST]  # a comparison takes the square of its length
  options = [o for o in options if o != name]
  close = difflib.get_close_matches(name, options, n=1, cutoff=0.5)
  return f" Did you mean {close[0]!r}?" if close else ""


def unknown(what: str, name: str, options: Iterable[str]) -> UserError:
  """The error for a name that is not in `options`."""
  options = sorted(options)
  return UserError(
    f"Unknown {what} {name!r}.{nearest(name, options)}"
    f" Known: {', '.join(options) or '(none)'}."
  )


def one_paragraph(text: str) -> str:
  """A message without line breaks and control characters, of limited length."""
  words = " ".join(_shortened(w, WORD) for w in text.split())
  words = _shortened(words, LONGEST)
  return "".join(c if c.isprintable() else ascii(c)[1:-1] for c in words)


def _shortened(text: str, most: int) -> str:
  half = most // 2
  return f"{text[:half]}...{text[-half:]}" if len(text) > most else text


@contextlib.contextmanager
def running(path: str) -> Iterator[None]:
  """Turns what a person's file raises into an error that names the line.

  Errors of our own checks, and a ValueError that the file itself raises, stay.
  """
  try:
    yield
  except (Exception, SystemExit) as error:
    if isinstance(error, UserError) or (
      isinstance(error, ValueError) and _on_purpose(error)
    ):
      raise
    place = _last(error, _theirs)
    where = f" ({place.filename}, line {place.lineno})" if place else ""
    raise UserError(f"{path} does not run: {_named(error)}{where}.") from error


def explain(error: BaseException) -> str | None:
  """The message of an error for the person who gave the command.

  Returns:
    The message, or `None` for an error that nobody foresaw: a fault of ours.
  """
  if isinstance(error, UserError):
    return str(error)
  for translate in (_memory, _disk, _backend, _terminal, _damaged, _deep):
    text = translate(error)
    if text:
      return text
  if isinstance(error, CONVENTION) and _on_purpose(error):
    return str(error)
  if isinstance(error, OSError):
    return _file(error)
  if isinstance(error, ImportError):
    inside = (getattr(error, "name", None) or "").startswith("bnnjax")
    return None if inside else str(error)
  if isinstance(error, SystemExit):  # we raise none, apart from -h
    place = _last(error, _theirs)
    where = f" ({place.filename}, line {place.lineno})" if place else ""
    return f"Code that bnnjax ran ended the program{where}: {_named(error)}."
  place = _last(error, lambda f: _ours(f) or _theirs(f))
  if place is not None and _theirs(place):  # in what the person wrote
    return f"{place.filename}, line {place.lineno}: {_named(error)}"
  return None


def _named(error: BaseException) -> str:
  # A SyntaxError's text repeats its place, which the message has already.
  said = error.msg if isinstance(error, SyntaxError) else error
  return f"{type(error).__name__}: {said}"


def fault(error: BaseException) -> str:
  """The message for an error that `explain` has no words for."""
  place = _last(error, _ours)
  where = ""
  if place is not None:
    file = pathlib.Path(place.filename).resolve().relative_to(OURS.parent)
    where = f" ({file}:{place.lineno})"
  return (
    f"{type(error).__name__}: {error}{where}. This is a fault of bnnjax:"
    " please report it, with the command and what --debug shows."
  )


def _memory(error) -> str | None:
  text = str(error)
  ours = type(error).__name__ in ("JaxRuntimeError", "XlaRuntimeError")
  if "No space left on device" in text or not (
    isinstance(error, MemoryError) or (ours and "RESOURCE_EXHAUSTED" in text)
  ):
    return None
  said = f" ({text})" if text else ""
  return (
    "Out of memory: lower `data.batch_size` and `data.eval_batch_size`, the"
    " size of the model or of its input, or shard the parameters across devices"
    f" (`mesh.fsdp`, `mesh.tensor`){said}."
  )


def _disk(error) -> str | None:
  full = getattr(error, "errno", None) in (errno.ENOSPC, errno.EDQUOT)
  if not full and "No space left on device" not in str(error):
    return None
  name = getattr(error, "filename", None)
  where = f": {os.fspath(name)!r} could not be written" if name else ""
  return f"The disk is full{where}. Free some space and try again."


def _backend(error) -> str | None:
  """For an accelerator that was asked for and does not exist."""
  text = str(error)
  starts = ("Unable to initialize backend", "Unknown backend")
  if isinstance(error, RuntimeError) and text.startswith(starts):
    asked = os.environ.get("JAX_PLATFORMS")
    said = f" (JAX_PLATFORMS is {asked!r})" if asked else ""
    return f"JAX finds no device{said}: {text}"
  return None


def _terminal(error) -> str | None:
  if isinstance(error, UnicodeEncodeError) and error.encoding != "utf-8":
    letter = error.object[error.start : error.start + 1]
    return (
      f"The output has the encoding {error.encoding!r}, which lacks"
      f" {letter!r}: set PYTHONIOENCODING=utf-8."
    )
  return None


def _damaged(error) -> str | None:
  kinds = ("SafetensorError", "LZMAError", "BadZipFile", "BadGzipFile")
  name = type(error).__name__
  zlib_error = type(error).__module__ == "zlib"
  if name in kinds or zlib_error or isinstance(error, EOFError):
    return f"A file is damaged, or of another kind than its name says: {error}"
  return None


def _deep(error) -> str | None:
  if isinstance(error, RecursionError) and _last(error, _theirs) is None:
    return (
      "An input is nested too deeply to be read: a JSON file, a literal or a"
      " spec."
    )
  return None


def _file(error: OSError) -> str:
  if error.strerror is None:
    return str(error)
  names = [repr(os.fspath(n)) for n in (error.filename, error.filename2) if n]
  return f"{error.strerror}{': ' if names else ''}{' and '.join(names)}."


def _on_purpose(error: BaseException) -> bool:
  """Whether a `raise` of our code, or of the person's, raised the error."""
  frames = traceback.extract_tb(error.__traceback__)
  if not frames or not (_ours(frames[-1]) or _theirs(frames[-1])):
    return False
  line = frames[-1].line or "raise"  # where there is no source, assume it
  return line.startswith("raise")


def _last(
  error: BaseException, belongs: Callable[[traceback.FrameSummary], bool]
) -> traceback.FrameSummary | None:
  """The innermost frame, from our first one on, that `belongs` accepts.

  Frames before ours are those of a caller: a test, or a person's own program.
  """
  frames = traceback.extract_tb(error.__traceback__)
  first = next((i for i, f in enumerate(frames) if _ours(f)), len(frames))
  if isinstance(error, SyntaxError) and error.filename:
    found = traceback.FrameSummary(error.filename, error.lineno or 0, "")
    frames.append(found)
  return next((f for f in reversed(frames[first:]) if belongs(f)), None)


def _ours(frame: traceback.FrameSummary) -> bool:
  return OURS in pathlib.Path(frame.filename).resolve().parents


def _theirs(frame: traceback.FrameSummary) -> bool:
  """Whether a frame is neither ours nor Python's nor an installed package's."""
  if frame.filename.startswith("<") or _ours(frame):
    return False
  parents = pathlib.Path(frame.filename).resolve().parents
  names = {p.name for p in parents}
  return not names & {"site-packages", "dist-packages"} and not any(
    folder in parents for folder in _library()
  )


@functools.cache
def _library() -> tuple[pathlib.Path, ...]:
  paths = sysconfig.get_paths()
  names = ("stdlib", "platstdlib", "purelib", "platlib")
  return tuple({pathlib.Path(paths[n]).resolve() for n in names})
