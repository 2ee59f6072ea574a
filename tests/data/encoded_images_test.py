"""Headers and pixels of encoded images; what is refused, by name."""

import io
import pathlib

import numpy as np
import pytest
from PIL import Image

from bnnjax.data import encoded_images

RNG = np.random.default_rng(0)
GREY = RNG.integers(0, 256, (5, 7), np.uint8)
COLOURED = RNG.integers(0, 256, (5, 7, 3), np.uint8)


def encoded(image, kind="png", **options):
  buffer = io.BytesIO()
  image = image if isinstance(image, Image.Image) else Image.fromarray(image)
  image.save(buffer, kind, **options)
  return buffer.getvalue()


def both(data):
  """Header and pixels, as many channels as the header says."""
  header = encoded_images.header(io.BytesIO(data), "x")
  return header, encoded_images.pixels(data, "x", header.channels)


@pytest.mark.parametrize("kind", ["png", "bmp", "ppm", "tiff"])
@pytest.mark.parametrize("values", [GREY, COLOURED], ids=["grey", "coloured"])
def test_what_was_saved(values, kind):
  header, got = both(encoded(values, kind))
  wanted = values.reshape(5, 7, -1)
  assert header == wanted.shape
  assert got.dtype == np.uint8
  np.testing.assert_array_equal(got, wanted)


def test_a_palette_is_looked_up_and_bits_are_black_and_white():
  palette = Image.fromarray(COLOURED).quantize(256)
  header, got = both(encoded(palette))
  assert header == (5, 7, 3)
  np.testing.assert_array_equal(got, np.asarray(palette.convert("RGB")))
  header, got = both(encoded(Image.fromarray(GREY).convert("1")))
  assert header == (5, 7, 1)
  assert set(got.flat) == {0, 255}


def test_jpeg_is_close():
  smooth = np.full((16, 16, 3), (10, 120, 200), np.uint8)
  header, got = both(encoded(smooth, "jpeg"))
  assert header == (16, 16, 3)
  assert np.abs(got.astype(int) - smooth).max() < 6


def test_channels_are_made_alike():
  grey = encoded_images.pixels(encoded(GREY), "x", 3)
  np.testing.assert_array_equal(grey, np.stack([GREY] * 3, -1))
  luma = encoded_images.pixels(encoded(COLOURED), "x", 1)
  weights = COLOURED @ np.array([0.299, 0.587, 0.114])
  np.testing.assert_allclose(luma[..., 0], weights, atol=1)


CLEAR = Image.fromarray(RNG.integers(0, 256, (5, 7, 4), np.uint8))
FRAMES = [Image.fromarray(GREY), Image.fromarray(GREY[::-1])]


@pytest.mark.parametrize(
  ("data", "message"),
  [
    (encoded(CLEAR), r"The image a/1.png is transparent \(mode 'RGBA'\): lay it"),
    (encoded(CLEAR.convert("LA")), "'LA'"),
    (encoded(COLOURED, transparency=(1, 2, 3)), r"transparent \(mode 'RGB'\)"),
    (encoded(CLEAR.convert("CMYK"), "tiff"), "is of mode 'CMYK', not of 8-bit"),
    (encoded(GREY.astype(np.uint16) * 99), "'I;16'"),
    (
      encoded(FRAMES[0], "tiff", save_all=True, append_images=FRAMES[1:]),
      "holds several frames",
    ),
    (b"", "The image a/1.png cannot be read: UnidentifiedImageError"),
    (b"no image", "a/1.png cannot be read"),
  ],
)  # fmt: skip
def test_what_is_refused(data, message):
  for read in (
    lambda: encoded_images.header(io.BytesIO(data), "a/1.png"),
    lambda: encoded_images.pixels(data, "a/1.png", 3),
  ):
    with pytest.raises(ValueError, match=message):
      read()


def test_damage_behind_the_header(tmp_path):
  """A checksum of a PNG is looked at: Pillow alone would give the pixels."""
  whole = encoded(COLOURED)
  for data in (whole[:-30], whole[:-20] + b"????" + whole[-16:]):
    file = pathlib.Path(tmp_path / "1.png")
    file.write_bytes(data)
    assert encoded_images.header(file, "x") == (5, 7, 3)
    with pytest.raises(ValueError, match=r"The image 1.png cannot be read: "):
      encoded_images.pixels(data, "1.png", 3)


def test_shape_of_many():
  header = encoded_images.Header
  assert encoded_images.shape_of([header(4, 5, 1)] * 2) == (4, 5, 1)
  found = [header(4, 5, 1), header(4, 6, 3)]
  assert encoded_images.shape_of(found) == (4, None, 3)
