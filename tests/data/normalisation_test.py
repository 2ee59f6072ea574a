"""Normalisation against its definition."""

import numpy as np
import pytest

from bnnjax import data
from bnnjax.data import normalisation


def test_normalise_is_its_definition():
  info = data.load("fake", shape=(2, 2, 3)).info
  images = np.arange(240, dtype=np.uint8).reshape(20, 2, 2, 3)
  mean, std = (0.1, 0.2, 0.3), (0.4, 0.5, 0.6)
  out = normalisation.normaliser(info, mean, std)(images)
  assert out.dtype == np.float32
  expected = (images / 255 - np.array(mean)) / np.array(std)
  np.testing.assert_allclose(out, expected, rtol=1e-5, atol=1e-6)


def test_one_value_serves_all_channels():
  info = data.load("fake", shape=(2, 2, 3)).info
  images = np.full((1, 2, 2, 3), 255, np.uint8)
  out = normalisation.normaliser(info, (0.5,), (0.25,))(images)
  np.testing.assert_allclose(out, 2, rtol=1e-6)


def test_tokens_pass_as_they_are():
  source = data.load("fake_text")
  tokens = source.read([1, 2])["tokens"]
  assert normalisation.normaliser(source.info, None, None)(tokens) is tokens


@pytest.mark.parametrize("kw", [{"mean": (0.5,)}, {"std": (1.0,)}])
def test_text_has_no_statistics(kw):
  info = data.load("fake_text").info
  with pytest.raises(ValueError, match="of pixels, but 'fake_text' holds text"):
    normalisation.normaliser(info, **{"mean": None, "std": None, **kw})


@pytest.mark.parametrize(
  ("mean", "std", "message"),
  [
    ((0.1, 0.2), None, r"`mean` has 2 values.*1 channel\(s\)"),
    (None, (1, 1, 1), r"`std` has 3 values"),
    (None, (0.0,), "`std` must be positive"),
    ((127.5,), (64,), r"got \[127.5\]: .* divide mean and std by 255"),
    ((-0.5,), None, r"`mean` must be of pixels in 0 .. 1, got \[-0.5\]"),
    ((float("nan"),), None, r"`mean` .* got \[nan\]"),
  ],
)
def test_bad_statistics(mean, std, message):
  with pytest.raises(ValueError, match=message):
    normalisation.normaliser(data.load("fake").info, mean, std)


@pytest.mark.parametrize("name", sorted(normalisation.MEAN_STD))
def test_values_of_known_sets_are_of_pixels_in_0_to_1(name):
  mean, std = normalisation.MEAN_STD[name]
  assert len(mean) == len(std)
  assert all(0 < m < 1 and 0 < s < 0.5 for m, s in zip(mean, std))
