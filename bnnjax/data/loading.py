"""Opens data sets by name: `load`, `info`, `tokenizer_of`."""

import os
import re
from collections.abc import Callable, Mapping
from typing import Any

from bnnjax.core import registry
from bnnjax.data import checks, lm_tokenizers, sources

_SPLIT = re.compile(r"(\w+)(?:\[(-?\d+%?)?:(-?\d+%?)?\])?")
# Types that an option may have, by the type of its default.
_TYPES = {
  bool: bool,
  int: int,
  float: (int, float),
  str: (str, os.PathLike),
  tuple: (tuple, list, str),
}


def load(name: str, split: str = "train", **options: Any) -> sources.Source:
  """Opens a data set by name.

  Args:
    name: a registered source (`fashion_mnist_mini`, `fashion_mnist`, `digits`,
      `wordnet_mini`, `plays_mini`, `fake` ...) or `tfds:<name>`.
    split: its name, or a part of it: `train[:90%]`, `test[100:200]`.
    **options: of that source, such as `data_dir`.

  Raises:
    ValueError: unknown name, split or option (the message suggests the
      nearest), or labels outside the classes.
    DataNotFoundError: the data set is not on this machine; the message says how
      to get it.
    ImportError: the data set needs a package that is not installed.

  Example:
    >>> len(load("fashion_mnist_mini", "test"))
    2000
  """
  make, options = _make(name, options)
  base, first, last = _parts(split)
  source = make(base, **options)
  if first is not None or last is not None:
    source = _part(source, name, split, first, last)
  checks.source(source, split)
  return source


def info(
  name: str, split: str = "train", **options: Any
) -> sources.DatasetInfo:
  """Description of a data set, without reading its examples.

  It has the shape, the classes and the vocabulary, and the `splits` if they are
  known. The text is read for a vocabulary of characters, and a source that does
  not use `sources.with_info` is opened.

  Args:
    name: as in `load`.
    split: as in `load`.
    **options: as in `load`.

  Raises:
    ValueError: as `load`.
    DataNotFoundError, ImportError: as `load`, for sources that are described by
      their files.

  Example:
    >>> info("fashion_mnist").shape
    (28, 28, 1)
  """
  make, options = _make(name, options)
  base, _, _ = _parts(split)
  told = getattr(make, "dataset_info", None)
  if told is None:
    return make(base, **options).info
  return told(base, **{**defaults_of(name), **options})


def tokenizer_of(
  name: str, split: str = "test", **options: Any
) -> lm_tokenizers.LmTokenizer:
  """The tokenizer of a source for language modelling, to decode samples.

  Args:
    name: as in `load`.
    split: any split; the smallest is the fastest.
    **options: as in `load`.

  Raises:
    ValueError: as `load`, or the source is not for language modelling.
  """
  source = load(name, split.partition("[")[0], **options)
  if not hasattr(source, "tokenizer"):
    raise ValueError(
      f"{name!r} has no tokenizer to write text with: it is no source for"
      " language modelling (such as 'plays_mini')."
    )
  return source.tokenizer


def _make(
  name: str, options: Mapping[str, Any]
) -> tuple[Callable[..., sources.Source], dict[str, Any]]:
  """The function that opens a data set, and its checked options.

  The part after a colon is the option `path` or `dataset`.
  """
  family, _, rest = name.partition(":")
  known, options = registry.accepts("source", family), dict(options)
  if rest:
    place = "path" if "path" in known else "dataset"
    if place in options:
      raise ValueError(
        f"{name!r} names the data set: leave out the option `{place}`, got"
        f" {options[place]!r}."
      )
    options[place] = rest
  registry.check_names(f"option of source {name!r}", options, known)
  for option, value in options.items():
    default = known.defaults.get(option)
    _check_type(f"Option {option!r} of source {name!r}", value, default)
  return registry.get("source", family), options


def _parts(split: str) -> tuple[str, str | None, str | None]:
  """Splits `train[:90%]` into `("train", None, "90%")`."""
  match = _SPLIT.fullmatch(split.replace(" ", ""))
  if not match:
    raise ValueError(
      f"Cannot read the split {split!r}. Write it as 'train',"
      " 'train[:90%]' or 'test[100:200]'."
    )
  return match.groups()


def _part(
  source: sources.Source,
  name: str,
  split: str,
  first: str | None,
  last: str | None,
) -> sources.Subset:
  """The examples `first:last` of a source."""
  start = _position(first, len(source), 0)
  stop = _position(last, len(source), len(source))
  if start >= stop:
    raise ValueError(
      f"The split {split!r} of {name!r} is empty: the whole has"
      f" {len(source)} examples."
    )
  return sources.Subset(source, start, stop)


def bounds(name: str, split: str, **options: Any) -> tuple[str, int, int]:
  """The whole that a split is a part of, its first example and its end.

  Raises:
    ValueError, ImportError: as `load`.

  Example:
    >>> bounds("fashion_mnist_mini", "test[:25%]")
    ('test', 0, 500)
  """
  base, first, last = _parts(split)
  length = len(load(name, base, **options))
  start, stop = _position(first, length, 0), _position(last, length, length)
  return base, start, stop


def options_of(name: str) -> list[str]:
  """Names of the options of a data set.

  Raises:
    ValueError: unknown name.
  """
  return list(registry.accepts("source", name.partition(":")[0]))


def defaults_of(name: str) -> dict[str, Any]:
  """Options of a data set, with their defaults.

  Raises:
    ValueError: unknown name.
  """
  return registry.accepts("source", name.partition(":")[0]).defaults


def _position(text: str | None, length: int, default: int) -> int:
  if text is None:
    return default
  if text.endswith("%"):
    position = round(int(text[:-1]) * length / 100)
  else:
    position = int(text)
  return min(max(position + (length if position < 0 else 0), 0), length)


def _check_type(what: str, value: Any, default: Any) -> None:
  """Raises if a value has another type than a default that is not None."""
  kind = type(default)
  wrong = not isinstance(value, _TYPES.get(kind, object))
  if wrong or (isinstance(value, bool) and kind in (int, float)):
    raise ValueError(f"{what} must be a {kind.__name__}, got {value!r}.")
