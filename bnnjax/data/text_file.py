"""Your own text for language modelling, `text_file:PATH`."""

import functools
import pathlib
from collections.abc import Callable
from typing import Any

from bnnjax.core import registry
from bnnjax.data import sources, utf8, windows

SPLITS = ("train", "test")


def _info(
  split: str, *, path: str, test_share: float, **options: Any
) -> sources.DatasetInfo:
  text = _parts(split, path, test_share)
  return windows.info("text_file", text, **options)


def _parts(split: str, path: str, test_share: float) -> Callable[[str], str]:
  """A function from the name of a split to its text."""
  sources.check_split("text_file", split, SPLITS)
  if not 0 < test_share < 1:
    raise ValueError(f"`test_share` must be in (0, 1): got {test_share!r}.")

  def part(split: str) -> str:
    text = read(path)
    cut = round(len(text) * (1 - test_share))
    return text[:cut] if split == windows.TRAIN else text[cut:]

  return part


@registry.register("source", "text_file")
@sources.with_info(_info)
def text_file(
  split: str,
  *,
  path: str = "",
  test_share: float = 0.1,
  max_len: int = 128,
  tokenizer: str = "chars",
  vocab_file: str = "",
  context: int = 0,
) -> sources.Source:
  """A UTF-8 text file, `text_file:PATH`; its end is the test split.

  Args:
    split: "train" or "test".
    path: the file.
    test_share: fraction of the characters in the test split.
    max_len: tokens of a window.
    tokenizer: "chars", "bytes" or "bpe".
    vocab_file: of "bpe", any `tokenizer.json`; by default that of `plays_mini`,
      for English. `lm_tokenizers.train_bpe` trains another.
    context: see `windows.Windows`.
  """
  return windows.pack(
    "text_file",
    _parts(split, path, test_share),
    split,
    max_len=max_len,
    tokenizer=tokenizer,
    vocab_file=vocab_file,
    context=context,
  )


def read(path: str) -> str:
  """The text of a file, with its line ends, without its byte order mark.

  Raises:
    DataNotFoundError: no such file.
    ValueError: the file is not UTF-8 (the message says how to convert it), or
      holds no word.
  """
  file = pathlib.Path(path).expanduser()
  if not path or not file.is_file():
    kind = " It is a folder." if path and file.is_dir() else ""
    raise sources.DataNotFoundError(
      f"No text file {path!r}: give the `path` of one (`data.options.path`)."
      f"{kind}"
    )
  stat = file.stat()
  return _read(file, stat.st_mtime_ns, stat.st_size)


@functools.lru_cache(maxsize=1)  # a run opens both splits
def _read(file: pathlib.Path, changed: int, size: int) -> str:
  data = file.read_bytes()
  text = utf8.decode(data, str(file))
  if not text.strip():
    what = "nothing but white space" if data else "nothing"
    raise ValueError(f"{file} holds {what} ({len(data)} bytes): give a text.")
  return text
