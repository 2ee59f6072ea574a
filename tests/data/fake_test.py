"""Fake data: deterministic, balanced, learnable."""

import numpy as np

from bnnjax import data


def test_deterministic_by_seed_and_split():
  image = data.load("fake")[7]["image"]
  np.testing.assert_array_equal(data.load("fake")[7]["image"], image)
  assert (data.load("fake", seed=1)[7]["image"] != image).any()
  assert (data.load("fake", "test")[7]["image"] != image).any()


def test_any_shape_and_number_of_classes():
  source = data.load("fake", shape=[5, 9, 3], num_classes=4, size=40)
  images, labels = source.read(range(40))
  assert images.shape == (40, 5, 9, 3)
  np.testing.assert_array_equal(np.bincount(labels), [10] * 4)


def test_learnable():
  """The nearest class mean of the training split labels the test split."""
  train, test = data.load("fake"), data.load("fake", "test")
  images, labels = train.read(range(len(train)))
  means = np.stack([images[labels == c].mean(0) for c in range(10)])
  images, labels = test.read(range(100))
  distances = np.square(images[:, None] - means).sum((2, 3, 4))
  assert (distances.argmin(1) == labels).mean() > 0.95


def test_normalised_by_its_own_mean_and_std():
  images, _ = data.load("fake").read(range(200))
  np.testing.assert_allclose(images.mean() / 255, 0.5, atol=0.05)
  np.testing.assert_allclose(images.std() / 255, 0.25, atol=0.05)
