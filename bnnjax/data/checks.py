"""Checks of examples against the description of their data set.

Without them, a label outside the classes would train nothing (its one-hot row
is zero) and a token outside the vocabulary would read another entry, both
silently. The labels of a whole split are checked at the start if they are known
without the inputs (`Source.all_labels`), and every batch when it is read.
"""

import typing
from collections.abc import Collection, Mapping, Sequence
from typing import Any

import numpy as np

if typing.TYPE_CHECKING:
  from bnnjax.data.sources import DatasetInfo, Source

_SHOWN = 4  # distinct values in a message
_INT32 = np.iinfo(np.int32)


def integers(
  labels: Any, name: str, records: Sequence[int] | None = None
) -> np.ndarray:
  """Labels as int32 `[N]`.

  Args:
    labels: one whole number per example, of any numeric type.
    name: of the data set.
    records: number of every record, by default 0 .. N - 1.

  Raises:
    ValueError: fractions, one-hot rows, words, or numbers beyond int32.
  """
  try:
    got = np.asarray(labels)
  except ValueError:  # rows of different lengths
    got = np.array([None, *labels], object)[1:]
  whole = got.dtype.kind in "biu" or (
    got.dtype.kind == "f" and bool((got == np.rint(got)).all())
  )
  if got.ndim != 1 or not whole:
    # From the list itself: numpy turns all of it into words if one entry is.
    values = labels if isinstance(labels, list) else np.atleast_1d(got)
    odd = (i for i, value in enumerate(values) if not _whole(value))
    first = next(odd, 0)
    rows = " For one-hot rows use `.argmax(-1)`; drop an axis of length 1."
    one = np.asarray(values[first]) if len(values) else np.zeros(())
    shown = f", {one.tolist()!r} in {_named(first, records)}"
    raise ValueError(
      f"Labels of {name!r} must be whole numbers, one per example: got"
      f" {got.dtype} {list(got.shape)}{shown if len(values) else ''}."
      f"{rows if one.ndim else ''}"
    )
  far = (got < _INT32.min) | (got > _INT32.max)
  if far.any():
    first = int(far.argmax())
    raise ValueError(
      f"Labels of {name!r} must be numbers of classes: {got[first]} in"
      f" {_named(first, records)}."
    )
  return got.astype(np.int32)


def _whole(value: Any) -> bool:
  value = np.asarray(value)
  if value.ndim or value.dtype.kind not in "biuf":
    return False
  return bool(value == np.rint(value))


def _named(place: int, records: Sequence[int] | None) -> str:
  """Names a record by its number in the source: `record 17`."""
  return f"record {place if records is None else int(records[place])}"


def labels(
  values: Any,
  info: "DatasetInfo",
  *,
  records: Sequence[int] | None = None,
  split: str = "",
) -> np.ndarray:
  """Labels as int32 `[N]`, all of them 0 .. `info.num_classes` - 1.

  Args:
    values: labels `[N]`.
    info: of the data set; if it has no classes, any number is allowed.
    records: number of every record, by default 0 .. N - 1.
    split: for the message.

  Raises:
    ValueError: as `integers`, or some labels are outside the classes; the
      message counts them and names the first record.
  """
  got, classes = integers(values, info.name, records), info.num_classes
  wrong = (got < 0) | (got >= classes)
  if not classes or not wrong.any():
    return got
  found, counts = np.unique(got[wrong], return_counts=True)
  listed = ", ".join(
    f"{value} in {count} record{'s' * (count > 1)}"
    for value, count in list(zip(found.tolist(), counts.tolist()))[:_SHOWN]
  )
  more = ", ..." if len(found) > _SHOWN else ""
  first = _named(int(wrong.argmax()), records)
  where = f" (split {split!r})" if split else ""
  raise ValueError(
    f"Labels of {info.name!r}{where} must be 0 .. {classes - 1}, its {classes}"
    f" classes: {int(wrong.sum())} of {len(got)} are not, {listed}{more}; the"
    f" first is {first}.{_hint(got, found.tolist(), info)}"
  )


def _hint(got: np.ndarray, found: list[int], info: "DatasetInfo") -> str:
  """A guess at what labels outside the classes are."""
  if -1 in found:
    others = f", of {', '.join(info.splits)}" if info.splits else ""
    return f" Such records have no labels (-1): take another split{others}."
  if got.min() >= 1 and got.max() == info.num_classes:
    return " They seem to count from 1: subtract 1."
  for bits in (8, 16):
    if 2**bits - 1 in found:
      return _unsigned(bits)
  return ""


def _unsigned(bits: int) -> str:
  return f" {2**bits - 1} is what -1, no label, becomes in {bits} bits."


def counted(
  labels: Mapping[str, np.ndarray], name: str, dtypes: Collection[str], way: str
) -> int:
  """Number of classes of a set that does not state it: the largest label + 1.

  Args:
    labels: int32 `[N]` of every split, from `integers`.
    name: of the data set.
    dtypes: types that the labels are stored in.
    way: how to state the number of classes, for the message.

  Raises:
    ValueError: the largest label looks like -1 in an unsigned type, or the
      labels of the training split (without one: all labels) begin at 1.
  """
  values = {split: np.unique(found) for split, found in labels.items()}
  every = np.unique(np.concatenate(list(values.values())))
  most = int(every[-1])
  for bits in (8, 16):
    odd = 2**bits - 1
    if f"uint{bits}" in dtypes and most == odd and odd - 1 not in every:
      split = next(s for s, found in values.items() if found[-1] == odd)
      first = int((labels[split] == odd).argmax())
      raise ValueError(
        f"Labels of {name!r} (split {split!r}) hold {odd}, first in"
        f" {_named(first, None)}, and never {odd - 1}.{_unsigned(bits)} Leave such"
        f" records out; if it is a class, {way}."
      )
  learned = values.get("train", every)
  if learned[0] == 1:
    raise ValueError(
      f"Labels of {name!r} must be numbers of classes, from 0: those to train on"
      f" are {learned[0]} .. {learned[-1]}. If labels begin at 1: subtract 1; if"
      f" there is a class 0, {way}."
    )
  return 1 + most


def tokens(
  values: np.ndarray,
  info: "DatasetInfo",
  records: Sequence[int] | None = None,
) -> None:
  """Raises unless tokens `[N, T]` are int32 in 0 .. `info.vocab` - 1.

  Raises:
    ValueError: names the first record.
  """
  if values.dtype != np.int32:
    raise ValueError(
      f"Tokens of {info.name!r} must be int32: got {values.dtype}."
    )
  if not values.size or 0 <= values.min() <= values.max() < info.vocab:
    return
  wrong = ((values < 0) | (values >= info.vocab)).any(axis=-1)
  first = int(wrong.argmax())
  row = values[first]
  token = row[(row < 0) | (row >= info.vocab)][0]
  raise ValueError(
    f"Tokens of {info.name!r} must be 0 .. {info.vocab - 1}, the entries of its"
    f" vocabulary: {int(wrong.sum())} of {len(values)} records have others; the"
    f" first is {_named(first, records)}, with {token}."
  )


def images(
  values: np.ndarray | list[np.ndarray],
  info: "DatasetInfo",
  records: Sequence[int] | None = None,
) -> None:
  """Raises unless images are uint8 of the shape in the info.

  Args:
    values: `[N, H, W, C]`, or a list of `[H, W, C]` if sizes differ.
    info: of the data set.
    records: number of every record, by default 0 .. N - 1.

  Raises:
    ValueError: names the first record.
  """
  # In an array all images have the shape of the first.
  for place, image in enumerate(values if isinstance(values, list) else [0]):
    image = values[place]
    fits = len(image.shape) == len(info.shape) and all(
      wanted in (None, got) for wanted, got in zip(info.shape, image.shape)
    )
    if image.dtype != np.uint8 or not fits:
      alpha = image.ndim == 3 and image.shape[-1] == 4
      more = (
        " It has 4 channels, as RGBA and CMYK: convert it." if alpha else ""
      )
      raise ValueError(
        f"Images of {info.name!r} must be uint8 {info.shape} (height, width,"
        f" channels): {_named(place, records)} is {image.dtype} {image.shape}."
        f"{more}"
      )


def source(source: "Source", split: str = "") -> None:
  """Checks all labels of a source, if they are known without the inputs.

  Raises:
    ValueError: see `labels`.
  """
  found = source.all_labels()
  if found is not None:
    labels(found, source.info, split=split)


def batch(
  batch: dict[str, Any], info: "DatasetInfo", records: Sequence[int]
) -> dict[str, Any]:
  """Checks a batch and converts its labels to int32.

  Args:
    batch: from `Source.read`.
    info: of the source.
    records: number of every record, `[B]`.

  Raises:
    ValueError: names the record.
  """
  inputs = batch[info.kind.key]
  (tokens if info.vocab else images)(inputs, info, records)
  if "label" not in batch:
    return batch
  return {**batch, "label": labels(batch["label"], info, records=records)}
