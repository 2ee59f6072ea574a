"""Augmentations against plain numpy loops, and the config strings."""

import numpy as np
import pytest
from PIL import Image

from bnnjax.data import augment


@pytest.fixture
def images():
  rng = np.random.default_rng(0)
  return rng.integers(1, 256, (64, 6, 9, 3), np.uint8)  # never 0: the padding


def test_pad_crop_is_a_window_of_the_padded_image(images):
  out = augment.PadCrop(2)(images, np.random.default_rng(1))
  assert out.shape == images.shape
  assert out.dtype == np.uint8
  places = set()
  for before, after in zip(images, out):
    padded = np.zeros((10, 13, 3), np.uint8)
    padded[2:-2, 2:-2] = before
    found = [
      (y, x)
      for y in range(5)
      for x in range(5)
      if (padded[y : y + 6, x : x + 9] == after).all()
    ]
    assert len(found) == 1
    places.update(found)
  assert len(places) > 15  # of 25, in 64 draws


def test_flip_mirrors_about_half(images):
  out = augment.Flip()(images, np.random.default_rng(1))
  same = (out == images).all((1, 2, 3))
  mirrored = (out == images[:, :, ::-1]).all((1, 2, 3))
  assert (same ^ mirrored).all()
  assert 16 < mirrored.sum() < 48


@pytest.mark.parametrize("probability", [0, 1])
def test_flip_probability(images, probability):
  out = augment.Flip(probability)(images, np.random.default_rng(1))
  step = 1 - 2 * probability
  np.testing.assert_array_equal(out, images[:, :, ::step])


def test_random_resized_crop_resizes_the_box_it_draws():
  rng = np.random.default_rng(2)
  images = [rng.integers(0, 256, (40, 30, 3), np.uint8) for _ in range(3)]
  crop = augment.RandomResizedCrop(8)
  out = crop(images, np.random.default_rng(3))
  rng = np.random.default_rng(3)
  for image, got in zip(images, out):
    left, top, right, bottom = crop.box(40, 30, rng)
    part = Image.fromarray(image[top:bottom, left:right])
    expected = part.resize((8, 8), Image.Resampling.BILINEAR)
    np.testing.assert_array_equal(got, np.asarray(expected))


def test_random_resized_crop_keeps_its_bounds():
  crop = augment.RandomResizedCrop(8)
  rng = np.random.default_rng(0)
  areas = []
  for _ in range(500):
    left, top, right, bottom = crop.box(100, 120, rng)
    assert 0 <= left < right <= 120
    assert 0 <= top < bottom <= 100
    w, h = right - left, bottom - top
    assert 0.72 < w / h < 1.38  # 3/4 .. 4/3, rounded to pixels
    areas.append(w * h / 12_000)
  assert 0.07 < min(areas) < 0.15
  assert 0.85 < max(areas) <= 1


def test_random_resized_crop_of_an_impossible_ratio_is_the_middle():
  box = augment.RandomResizedCrop(8).box(10, 1000, np.random.default_rng(0))
  assert box == (493, 0, 506, 10)  # 10 * 4/3 = 13 wide


@pytest.mark.parametrize("channels", [1, 2, 3, 4])
def test_resize_of_a_constant_and_of_a_ramp(channels):
  ramp = np.arange(0, 240, 4, dtype=np.uint8)[None, :, None]
  image = np.broadcast_to(ramp, (40, 60, channels))
  out = augment.Resize(20)([image], None)
  assert out.shape == (1, 20, 30, channels)
  # Half the size: each pixel is near the mean of its two.
  expected = image.astype(float).reshape(20, 2, 30, 2, channels).mean((1, 3))
  np.testing.assert_allclose(out[0][:, 1:-1], expected[:, 1:-1], atol=1)


def test_center_crop_of_images_that_differ_in_size():
  images = [np.arange(n * n, dtype=np.uint8).reshape(n, n, 1) for n in (4, 6)]
  out = augment.CenterCrop(2)(images, None)
  np.testing.assert_array_equal(out[0][..., 0], [[5, 6], [9, 10]])
  np.testing.assert_array_equal(out[1][..., 0], [[14, 15], [20, 21]])


PAD_FLIP = (augment.PadCrop(2), augment.Flip())


@pytest.mark.parametrize(
  ("spec", "expected"),
  [
    (None, ()),
    ((), ()),
    ("", ()),
    ("flip", (augment.Flip(),)),
    ("pad_crop(2), flip", PAD_FLIP),
    (("pad_crop(2)", "flip()"), PAD_FLIP),
    (["pad_crop(padding=2)", "flip(0.5)"], PAD_FLIP),
    (({"name": "pad_crop", "padding": 2}, augment.Flip()), PAD_FLIP),
    (
      "random_resized_crop(8, scale=(0.5, 1.0))",
      (augment.RandomResizedCrop(8, scale=(0.5, 1.0)),),
    ),
  ],
)
def test_parse(spec, expected):
  assert augment.parse(spec) == expected


def test_parse_takes_a_config_dict():
  config_dict = pytest.importorskip("ml_collections").ConfigDict
  config = config_dict({"augment": ({"name": "pad_crop", "padding": 2},)})
  assert augment.parse(config.augment) == PAD_FLIP[:1]
  assert augment.parse(config_dict({"name": "flip"})) == PAD_FLIP[1:]


@pytest.mark.parametrize(
  ("spec", "message"),
  [
    ("pad_corp(2)", "Unknown augment 'pad_corp'. Did you mean 'pad_crop'"),
    ("pad_crop(paddin=2)", "Did you mean 'padding'"),
    ("pad_crop", r"is written 'pad_crop\(padding\)'"),
    ("pad_crop(1, 2)", r"is written 'pad_crop\(padding\)'"),
    ("pad_crop(1, padding=2)", r"is written 'pad_crop\(padding\)'"),
    ("pad_crop(0)", "positive integer: got 0"),
    ("pad_crop(True)", "positive integer: got True"),
    ("center_crop(0)", "positive integer: got 0"),
    ("resize(2147483648)", "`size` must be at most 65535: got 2147483648"),
    ("flip('x')", r"`probability` must be in \[0, 1\], got 'x'"),
    ("random_resized_crop(8, scale=(2, 3))", "0 < low <= high <= 1: got"),
    ("random_resized_crop(8, ratio=1.0)", "`ratio` must be"),
    ("random_resized_crop(8, ratio=(1, 'x'))", "`ratio` must be"),
    ("pad_crop(2", "Cannot read the augmentation"),
    ("pad_crop(n)", "Cannot read the augmentation"),
    ("np.pad(2)", "Cannot read the augmentation"),
    ("3", "Cannot read the augmentation"),
    ("flip(2)", r"in \[0, 1\]"),
    ("random_resized_crop(8, scale=(1, 0.5))", "`scale` must be"),
    ({"padding": 2}, "has no 'name'"),
  ],
)
def test_parse_errors(spec, message):
  with pytest.raises(ValueError, match=message):
    augment.parse(spec)


def test_parse_of_something_else():
  with pytest.raises(TypeError, match="got 3"):
    augment.parse(3)


@pytest.mark.parametrize("spec", ["pad_crop(2)", "flip", ""])
def test_images_that_differ_in_size_need_a_crop_first(spec):
  images = [np.zeros((4, 4, 1), np.uint8), np.zeros((4, 5, 1), np.uint8)]
  with pytest.raises(ValueError, match=r"random_resized_crop\(224\)"):
    augment.apply(augment.parse(spec), images, np.random.default_rng(0))


def test_center_crop_of_a_small_image():
  with pytest.raises(ValueError, match=r"put 'resize\(8\)' before it"):
    augment.CenterCrop(8)(np.zeros((1, 4, 4, 1), np.uint8), None)


def test_any_function_is_an_augmentation(images):
  def invert(x, rng):
    return 255 - x

  out = augment.apply(augment.parse([invert]), images, None)
  np.testing.assert_array_equal(out, 255 - images)
