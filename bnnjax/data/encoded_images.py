"""Encoded images (PNG, JPEG ...): their headers and their pixels.

Grey images have 1 channel, coloured images and palettes 3. Transparent images,
CMYK, more than 8 bits and animations raise an error, since their colours in RGB
would be a guess.
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
  """Size of an image, and its channels: 1 if it is grey, else 3."""

  height: int
  width: int
  channels: int


def header(file: BinaryIO | pathlib.Path, name: str) -> Header:
  """Size and channels of an image, without decoding it.

  Args:
    file: only its first bytes are read.
    name: of the image, for messages.

  Raises:
    ValueError: not an image, or one of an unsupported kind; names it.
  """
  return _opened(file, name, _header)


def pixels(data: bytes, name: str, channels: int) -> np.ndarray:
  """The image as uint8 `[H, W, channels]`.

  Args:
    data: the content of the file.
    name: of the image, for messages.
    channels: 3, or 1 to convert colours to their luma (ITU-R 601).

  Raises:
    ValueError: as `header`, or the image is damaged.
  """

  def decode(image: Image.Image) -> np.ndarray:
    _header(image)
    got = np.asarray(image.convert(_MODES[channels]))
    return got.reshape(*got.shape[:2], channels)

  # Pillow ignores the checksums of a PNG when it decodes one.
  check = lambda i: i.verify() if i.format == "PNG" else None  # noqa: E731
  _opened(io.BytesIO(data), name, check)
  return _opened(io.BytesIO(data), name, decode)


def shape_of(headers: Iterable[Header]) -> tuple[int | None, int | None, int]:
  """Common shape of images: H or W is None if it varies, C the largest.

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
  """Applies `use` to an opened image; errors name the image."""
  try:
    with Image.open(file) as image:
      return use(image)
  except _RefusedError as error:
    raise ValueError(f"The image {name} {error}") from None
  except Exception as error:  # the decoders of formats raise any
    reason = " ".join(str(error).split())[:200].rstrip(".")
    raise ValueError(
      f"The image {name} cannot be read: {type(error).__name__}: {reason}."
    ) from error


class _RefusedError(Exception):
  """An image of an unsupported kind."""


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
  # The further frames of an MPO, a photograph, are previews of it.
  if getattr(image, "is_animated", False) and image.format != "MPO":
    raise _RefusedError("holds several frames: save one of them.")
  return Header(image.height, image.width, _CHANNELS[image.mode])
