"""Encoded images (PNG, JPEG ...): what a header says, and the pixels.

Grey images have 1 channel, coloured ones 3, a palette is looked up. Transparent
images, CMYK, more than 8 bits and animations are refused: which colours they
would have is not ours to say.
"""

import io
import pathlib
from collections.abc import Callable, Iterable
from typing import BinaryIO, NamedTuple

import numpy as np
from PIL import Image

_CHANNELS = {"1": 1, "L": 1, "P": 3, "RGB": 3, "YCbCr": 3}
_MODES = {1: "L", 3: "RGB"}


class Header(NamedTuple):
  """Size of an image; 3 channels unless it is grey."""

  height: int
  width: int
  channels: int


def header(file: BinaryIO | pathlib.Path, name: str) -> Header:
  """What an image is, without decoding it.

  Args:
    file: of which the first bytes are read.
    name: of the image, in messages.

  Raises:
    ValueError: it is no image, or one that is refused; names it.
  """
  return _opened(file, name, _header)


def pixels(data: bytes, name: str, channels: int) -> np.ndarray:
  """The image as uint8 `[H, W, channels]`.

  Args:
    data: the file.
    name: of the image, in messages.
    channels: 1, then colours become their luma (ITU-R 601), or 3.

  Raises:
    ValueError: as `header`, or it is damaged.
  """

  def decode(image: Image.Image) -> np.ndarray:
    _header(image)
    got = np.asarray(image.convert(_MODES[channels]))
    return got.reshape(*got.shape[:2], channels)

  # Pillow decodes a PNG without looking at its checksums.
  check = lambda i: i.verify() if i.format == "PNG" else None  # noqa: E731
  _opened(io.BytesIO(data), name, check)
  return _opened(io.BytesIO(data), name, decode)


def shape_of(headers: Iterable[Header]) -> tuple[int | None, int | None, int]:
  """Shape of images, H and W None where they vary; 3 channels if any has.

  Raises:
    ValueError: there is no image.
  """
  heights, widths, channels = map(set, zip(*headers))
  return (
    heights.pop() if len(heights) == 1 else None,
    widths.pop() if len(widths) == 1 else None,
    max(channels),
  )


def _opened(
  file: BinaryIO | pathlib.Path,
  name: str,
  use: Callable[[Image.Image], "Header | np.ndarray | None"],
):
  """What `use` makes of an image; errors name it."""
  try:
    with Image.open(file) as image:
      return use(image)
  except _RefusedError as error:
    raise ValueError(f"The image {name} {error}") from None
  except Exception as error:  # of whatever format's decoder
    reason = " ".join(str(error).split())[:200].rstrip(".")
    raise ValueError(
      f"The image {name} cannot be read: {type(error).__name__}: {reason}."
    ) from error


class _RefusedError(Exception):
  """An image that can be read, but not meant."""


def _header(image: Image.Image) -> Header:
  transparent = "A" in image.mode or "transparency" in image.info
  if transparent:
    raise _RefusedError(
      f"is transparent (mode {image.mode!r}): lay it over a background, and"
      " save it as RGB."
    )
  if image.mode not in _CHANNELS:
    raise _RefusedError(
      f"is of mode {image.mode!r}, not of 8-bit grey, RGB or a palette: convert"
      " it."
    )
  # An MPO is a photograph, whose further frames are previews of it.
  if getattr(image, "is_animated", False) and image.format != "MPO":
    raise _RefusedError("holds several frames: save one of them.")
  return Header(image.height, image.width, _CHANNELS[image.mode])
