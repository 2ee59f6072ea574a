"""What a pipeline makes of positions: batches, checked, filled up, masked."""

import numpy as np
import pytest

from bnnjax import data
from bnnjax.data import batch


class Counting(data.Source):
  """Example i is an image of one pixel i, with label i; the fifth is none."""

  info = data.DatasetInfo("counting", (1, 1, 1), 4, (0.0,), (1.0,), {})

  def __init__(self, size=4):
    self.size = size

  def __len__(self):
    return self.size

  def __getitem__(self, index):
    return {"image": np.full((1, 1, 1), index, np.uint8), "label": index}


def divided(images):
  return images / np.float32(2)


def doubled(images, rng):
  return 2 * images


def test_a_training_batch_is_augmented_then_normalised():
  made = batch.TrainBatch(Counting(), (doubled, doubled), divided)
  got = made(np.array([3, 1]), np.random.default_rng(0))
  np.testing.assert_array_equal(got["image"].ravel(), [6, 2])
  np.testing.assert_array_equal(got["label"], [3, 1])


def test_a_wrong_label_is_told_with_its_record():
  made = batch.TrainBatch(Counting(5), (), divided)
  with pytest.raises(ValueError, match=r"must be 0 \.\. 3.*first is record 4"):
    made(np.array([1, 4]), np.random.default_rng(0))


@pytest.mark.parametrize(
  ("part", "images", "mask"),
  [
    (slice(0, None, 2), [[0, 1], [0, 0]], [[1, 1], [0, 0]]),
    (slice(1, None, 2), [[0.5, 1.5], [0, 0]], [[1, 1], [0, 0]]),
    (slice(None), [[0, 0.5, 1, 1.5], [0] * 4], [[1] * 4, [0] * 4]),
  ],
)
def test_an_evaluation_is_filled_up_with_the_first_example(part, images, mask):
  """Batches 0 and 1 of four, of four examples."""
  made = batch.EvalBatch(Counting(), (), divided, 4, part)
  for number in range(2):
    got = made(number)
    np.testing.assert_array_equal(got["image"].ravel(), images[number])
    np.testing.assert_array_equal(got["mask"], mask[number])
