"""VGG-Small: its size, signs, training, errors."""

import itertools

import numpy as np
import pytest
from flax import nnx

from tests import image_models
from tests.image_models import CIFAR


def test_parameters():
  """BiPer's 4.66 M: kernels, scale and shift of the norms, the classifier."""
  features = (3, 128, 128, 256, 256, 512, 512)
  kernels = sum(9 * a * b for a, b in itertools.pairwise(features))
  norms = 2 * sum(features[1:])
  classifier = 512 * 4 * 4 * 10 + 10
  got = image_models.sizes("vgg_small", shape=CIFAR, num_classes=10)
  assert got == kernels + norms + classifier
  assert round(got / 1e6, 2) == 4.66


def test_both_signs_occur_in_binary_layers(monkeypatch):
  means = image_models.mean_signs(monkeypatch, "vgg_small", width=0.125)
  assert np.abs(means).max() < 0.95


def test_one_step():
  image_models.check_gradients("vgg_small", width=0.125)


def test_sides_are_multiples_of_8():
  with pytest.raises(ValueError, match="not multiples of 8"):
    nnx.eval_shape(lambda: image_models.build("vgg_small", (30, 32, 3)))
