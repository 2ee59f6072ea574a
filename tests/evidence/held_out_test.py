import numpy as np
import pytest

from bnnjax import config as config_lib
from bnnjax import data
from bnnjax.errors import UserError
from bnnjax.evidence import held_out


def settings(tmp_path, labels):
  """The data of a config: images with these labels."""
  labels = np.asarray(labels)
  images = np.zeros((len(labels), 2, 2), np.uint8)
  np.savez(tmp_path / "x.npz", x_train=images, y_train=labels)
  made = config_lib.base().data
  made.update(name=f"npz:{tmp_path / 'x.npz'}", train_split="train")
  return made


def test_the_last_examples_are_held_out(tmp_path):
  made = settings(tmp_path, np.arange(200) % 10)
  assert held_out.splits(made, 0.1) == {
    "data.train_split": "train[0:180]",
    "data.eval_split": "train[180:200]",
  }
  made.train_split = "train[50%:]"
  assert held_out.splits(made, 0.25) == {
    "data.train_split": "train[100:175]",
    "data.eval_split": "train[175:200]",
  }


@pytest.mark.parametrize(
  "sizes",
  [
    [100] * 10,  # the last class is held out whole
    [500, 500],  # half of the last class is
    [950, 50],  # a rare class
  ],
)
def test_sorted_examples_are_refused_and_mixed_ones_are_not(tmp_path, sizes):
  labels = np.repeat(np.arange(len(sizes)), sizes)
  with pytest.raises(UserError, match="sorted by class. Shuffle"):
    held_out.splits(settings(tmp_path, labels), 0.1)
  mixed = np.random.default_rng(0).permutation(labels)
  held_out.splits(settings(tmp_path, mixed), 0.1)


def test_few_examples_may_differ_by_chance(tmp_path):
  held_out.splits(settings(tmp_path, [0, 1, 2, 1, 0, 2, 1, 1]), 0.1)


@pytest.mark.parametrize("share", [0.05, 0.1, 0.3])
def test_embedded_images_are_mixed(share):
  made = config_lib.base().data
  made.update(name="fashion_mnist_mini", train_split="train")
  found = held_out.splits(made, share)
  held = data.load("fashion_mnist_mini", found["data.eval_split"])
  assert len(held) == round(share * 10_000)


def test_nothing_to_train_on(tmp_path):
  with pytest.raises(UserError, match="leave none to train on"):
    held_out.splits(settings(tmp_path, [0, 1]), 0.9)
