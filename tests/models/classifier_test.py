"""What image classifiers share: the head, widths, the choice of a stem."""

import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from bnnjax.layers.blocks import LayerDefaults
from bnnjax.models.classifier import ImageClassifier, is_small, scaled

X = jnp.arange(8.0).reshape(1, 2, 2, 2)


class Twice(nnx.Module):
  def __call__(self, x, mode=None):
    return 2 * x


def classifier(features, **options):
  return ImageClassifier(
    [Twice()], [Twice()], features, 3, body=LayerDefaults(None, None), rngs=nnx.Rngs(0),
    **options,
  )  # fmt: skip


def test_without_a_head_the_mean_over_the_map_is_the_output():
  got = classifier(None)(X)
  np.testing.assert_allclose(got, 4 * np.mean(X, (1, 2)))


@pytest.mark.parametrize(
  ("flatten", "features", "inputs"),
  [(False, 2, np.mean(X, (1, 2))), (True, 8, np.reshape(X, (1, 8)))],
)
def test_the_head_reads_the_mean_or_every_pixel(flatten, features, inputs):
  model = classifier(features, flatten=flatten, head_bias=False)
  want = 4 * inputs @ np.asarray(model.head.kernel[...])
  np.testing.assert_allclose(model(X), want, rtol=1e-5)


@pytest.mark.parametrize(
  ("stem", "height", "small"),
  [
    (None, 49, True),
    (None, 50, False),
    ("imagenet", 49, False),
    ("small", 50, True),
  ],
)
def test_the_stem_follows_the_height(stem, height, small):
  assert is_small(stem, (height, 8, 3)) == small


def test_unknown_stem():
  with pytest.raises(ValueError, match="Unknown stem 'tiny'"):
    is_small("tiny", (8, 8, 3))


def test_widths_round_down_to_a_channel_at_least():
  assert scaled(64, 0.26) == 16
  with pytest.raises(ValueError, match="Width 0.001 leaves nothing of 64 chan"):
    scaled(64, 0.001)
