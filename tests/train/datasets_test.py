"""Data sets of a run, checked against its config."""

import numpy as np
import pytest

from bnnjax import config as config_lib
from bnnjax import data, tasks
from bnnjax.core import registry
from bnnjax.train import datasets, loop
from tests.train.small_runs import tiny_lm, tiny_text

GOOD = np.arange(40) % 3
TASK = tasks.build({"name": "classification"})


@registry.register("source", "labelled")
def labelled(split, *, shifted="", by=0):
  """Images whose labels are out of range by `by` in the split `shifted`."""
  images = np.zeros((40, 4, 6, 1), np.uint8)
  info = data.DatasetInfo("labelled", (4, 6, 1), 3, (0.5,), (0.25,))
  return data.ArraySource(images, GOOD + by * (split == shifted), info)


def config_of(**options):
  config = config_lib.base()
  config.data.update(
    name="labelled", shape=(4, 6, 1), num_classes=3, batch_size=16
  )
  config.data.options = options
  config.model = {"name": "mlp", "hidden": (16,)}
  config.steps = 2
  return config


def test_labels_of_both_splits_are_the_classes():
  train, test = datasets.load_data(config_of(), TASK)
  assert len(train) == len(test) == 40


@pytest.mark.parametrize(
  ("train", "evaluated", "shared"),
  [
    ("train[:75%]", "train[50%:]", "10 of the 20"),
    ("train", "train", "40 of the 40"),
    ("train[:10]", "train", "10 of the 40"),
    ("train [5:6]", "train[-36:]", "1 of the 36"),
  ],
)
def test_examples_that_are_also_trained_on_are_a_warning(
  train, evaluated, shared
):
  config = config_of()
  config.data.update(train_split=train, eval_split=evaluated)
  with pytest.warns(UserWarning, match=f"{shared} examples to evaluate on are"):
    datasets.load_data(config, TASK)
  for other in ("test", "test[50%:]"):
    config.data.eval_split = other
    datasets.load_data(config, TASK)  # a warning would be an error
  config.data.update(train_split="train[:75%]", eval_split="train[75%:]")
  datasets.load_data(config, TASK)


@pytest.mark.parametrize(("offset", "count"), [(-1, 14), (1, 13)])
@pytest.mark.parametrize("split", ["train", "test"])
def test_labels_out_of_range_are_an_error_before_anything_is_written(
  tmp_path, split, offset, count
):
  message = rf"Labels of 'labelled' \(split '{split}'\).* {count} of 40"
  with pytest.raises(ValueError, match=message):
    loop.train(config_of(shifted=split, by=offset), tmp_path / "run")
  assert not (tmp_path / "run").exists()


def test_data_of_a_language_model():
  config = tiny_lm()
  config.data.update(name="plays_mini", vocab=1024)
  config.data.options = {"tokenizer": "bpe", "context": 4}
  config = config_lib.resolve(config)
  train, test = datasets.load_data(config, tasks.build(config.task))
  assert train.info.shape == test.info.shape == (12,)
  assert datasets.tokenizer_of(config).pieces == test.tokenizer.pieces


def test_length_of_the_texts_is_the_configs():
  config = tiny_text()
  config.data.update(name="wordnet_mini", vocab=4096, num_classes=26)
  config.data.options = {}
  train, _ = datasets.load_data(config_lib.resolve(config), TASK)
  assert train.info.shape == (12,)
