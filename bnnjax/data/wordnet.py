"""WordNet 3.0 noun glosses and their 26 lexicographer files (Miller 1995).

The task is to classify a gloss (definition and examples, 12 words on average,
without the word it explains) as animal, artifact, feeling, ... WordNet licence
(Princeton University).

A hash of the gloss decides the split: a tenth is the test split, the same
glosses on every machine, and a gloss of several synsets is in one split only.
Examples are ordered by that hash, so that a part such as `train[:90%]` is
nearly balanced.
"""

import functools
import pathlib
from collections.abc import Iterable, Mapping
from typing import NamedTuple

import numpy as np

from bnnjax import deprecated
from bnnjax.core import registry
from bnnjax.data import archives, digest, embedded, sources, wordpiece

DEBIAN_FOLDER = pathlib.Path("/usr/share/wordnet")
MINI_FILE = embedded.WORDNET
SPLITS = ("train", "test")
MINI_SPLITS = {"train": 13_746, "test": 1_389}
# lexnames(5WN): the noun files, from number 3; labels are positions here.
CLASSES = (
  "Tops", "act", "animal", "artifact", "attribute", "body", "cognition",
  "communication", "event", "feeling", "food", "group", "location", "motive",
  "object", "person", "phenomenon", "plant", "possession", "process",
  "quantity", "relation", "shape", "state", "substance", "time",
)  # fmt: skip
_FIRST_FILE = 3


class Gloss(NamedTuple):
  """An example before it is encoded."""

  label: int
  text: str


def _info(
  name: str,
  splits: Mapping[str, int],
  split: str,
  *,
  max_len: int,
  vocab_file: str,
  lowercase: bool | None,
  data_dir: str | None = None,
) -> sources.DatasetInfo:
  """Description of the glosses, without reading them."""
  del data_dir
  sources.check_split(name, split, SPLITS)
  return _described(name, splits, _encoder(vocab_file, max_len, lowercase))


@registry.register("source", "wordnet_mini")
@sources.with_info(functools.partial(_info, "wordnet_mini", MINI_SPLITS))
def wordnet_mini(
  split: str,
  *,
  max_len: int = 32,
  vocab_file: str = "",
  lowercase: bool | None = None,
) -> sources.Source:
  """At most 600 training and 60 test glosses of each class, embedded.

  Args:
    split: "train" or "test".
    max_len: tokens of a text.
    vocab_file: WordPiece vocabulary; by default the embedded one, trained on
      this training split.
    lowercase: whether it is uncased; for the default see `wordpiece.Tokenizer`.
  """
  encoder = _encoder(vocab_file, max_len, lowercase)
  return _source("wordnet_mini", mini(), split, encoder)


@registry.register("source", "wordnet")
@sources.with_info(functools.partial(_info, "wordnet", {}))
def wordnet(
  split: str,
  *,
  data_dir: str | None = None,
  max_len: int = 32,
  vocab_file: str = "",
  lowercase: bool | None = None,
) -> sources.Source:
  """All 82,115 noun glosses of WordNet.

  Args:
    split: "train" or "test".
    data_dir: folder of `data.noun`, by default the Debian package's.
    max_len: tokens of a text.
    vocab_file: WordPiece vocabulary; by default that of `wordnet_mini`.
    lowercase: whether it is uncased; for the default see `wordpiece.Tokenizer`.
  """
  folder = pathlib.Path(data_dir).expanduser() if data_dir else DEBIAN_FOLDER
  encoder = _encoder(vocab_file, max_len, lowercase)
  return _source("wordnet", full(folder), split, encoder)


@functools.cache  # a run opens both splits
def mini() -> dict[str, tuple[Gloss, ...]]:
  """The glosses of the embedded file by split.

  Raises:
    ValueError: the file is damaged, or a line is not a label and a gloss.
  """
  lines = archives.text(MINI_FILE).removesuffix("\n").split("\n")
  return by_split(
    _row(line, f"{MINI_FILE}, line {number}")
    for number, line in enumerate(lines, 1)
  )


def _row(line: str, where: str) -> Gloss:
  """Reads `label<tab>gloss`."""
  number, _, gloss = line.partition("\t")
  plain = number.isascii() and number.isdecimal() and len(number) <= 2
  label = int(number) if plain else -1
  if not 0 <= label < len(CLASSES) or not gloss.strip() or "\t" in gloss:
    raise ValueError(
      f"{where}: must be a label 0 .. {len(CLASSES) - 1}, a tab and a gloss: got"
      f" {line[:40]!r}."
    )
  return Gloss(label, gloss)


@functools.lru_cache(maxsize=1)
def full(folder: pathlib.Path = DEBIAN_FOLDER) -> dict[str, tuple[Gloss, ...]]:
  """The glosses of WordNet's `data.noun` by split.

  Raises:
    DataNotFoundError: the file is not in `folder`; the message says how to get
      it.
    ValueError: the file is not WordNet's.
  """
  path = folder / "data.noun"
  if not path.is_file():
    raise sources.DataNotFoundError(
      f"WordNet is not in {folder} (data.noun). Give the folder that has it as"
      " `data_dir`; or get it with `apt-get install wordnet-base` (Debian,"
      " Ubuntu). 'wordnet_mini', 15,135 of the glosses, needs no download."
    )
  glosses = []
  try:
    with path.open(encoding="utf-8") as lines:
      for number, line in enumerate(lines, 1):
        if line.startswith("  "):  # the licence
          continue
        glosses.append(_parse(line, f"{path}, line {number}"))
  except UnicodeDecodeError as error:
    raise ValueError(f"{path} is not UTF-8: {error}.") from error
  if not glosses:
    raise ValueError(f"{path} holds no gloss.")
  return by_split(glosses)


def by_split(glosses: Iterable[Gloss]) -> dict[str, tuple[Gloss, ...]]:
  """Splits and orders glosses by their hash."""
  parts = {split: [] for split in SPLITS}
  keyed = ((digest.hash_of(gloss.text), gloss) for gloss in glosses)
  for key, gloss in sorted(keyed):
    parts["train" if key % 10 else "test"].append(gloss)
  return {split: tuple(part) for split, part in parts.items()}


def _parse(line: str, where: str) -> Gloss:
  """Reads `offset lexicographer_file ... | gloss` (wndb(5WN))."""
  fields, _, text = line.partition(" | ")
  number = (fields.split()[1:2] or [""])[0] if text.strip() else ""
  plain = number.isascii() and number.isdecimal() and len(number) <= 2
  label = int(number) - _FIRST_FILE if plain else -1
  if not 0 <= label < len(CLASSES):
    raise ValueError(f"{where}: not a noun of WordNet: {line[:40]!r}.")
  return Gloss(label, text.strip())


def _encoder(
  vocab_file: str, max_len: int, lowercase: bool | None
) -> wordpiece.Tokenizer:
  return wordpiece.Tokenizer.from_file(
    vocab_file or embedded.WORDNET_VOCAB, max_len, lowercase=lowercase
  )


def _described(
  name: str, splits: Mapping[str, int], encoder: wordpiece.Tokenizer
) -> sources.DatasetInfo:
  return sources.DatasetInfo(
    name=name,
    shape=(encoder.max_len,),
    num_classes=len(CLASSES),
    vocab=len(encoder),
    splits=splits,
  )


def _source(
  name: str,
  glosses: dict[str, tuple[Gloss, ...]],
  split: str,
  encoder: wordpiece.Tokenizer,
) -> sources.Source:
  sources.check_split(name, split, SPLITS)
  splits = {key: len(part) for key, part in glosses.items()}
  info = _described(name, splits, encoder)
  if not glosses[split]:
    raise ValueError(f"The split {split!r} of {name!r} has no gloss.")
  labels, texts = zip(*glosses[split])
  return sources.ArraySource(
    encoder.encode(texts), np.array(labels), info, encoder.digest()
  )


__getattr__ = deprecated.old_names(
  __name__,
  {
    "VOCAB_FILE": "bnnjax.data.embedded.WORDNET_VOCAB",
    "hash_of": "bnnjax.data.digest.hash_of",
  },
)
