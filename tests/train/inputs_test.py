import numpy as np
import pytest

from bnnjax import config as config_lib
from bnnjax import data
from bnnjax.core import registry
from bnnjax.train import inputs, loop


def config_of(monkeypatch, **labels):
  """A config of a source whose labels are given by split."""

  def make(split):
    images = np.zeros((len(labels[split]), 4, 6, 1), np.uint8)
    info = data.DatasetInfo("mine", (4, 6, 1), 3, (0.5,), (0.25,))
    return data.ArraySource(images, labels[split], info)

  monkeypatch.setitem(registry._TABLES["source"], "mine", make)
  config = config_lib.base()
  config.data.update(name="mine", shape=(4, 6, 1), num_classes=3, batch_size=16)
  config.model = {"name": "mlp", "hidden": (16,)}
  config.steps = 2
  return config


GOOD = np.arange(40) % 3


def test_labels_of_both_splits_are_the_classes(monkeypatch):
  config = config_of(monkeypatch, train=GOOD, test=GOOD)
  train, test = inputs.load_data(config)
  assert len(train) == len(test) == 40


@pytest.mark.parametrize(("offset", "count"), [(-1, 14), (1, 13)])
@pytest.mark.parametrize("split", ["train", "test"])
def test_labels_are_refused_before_anything_is_written(
  monkeypatch, tmp_path, split, offset, count
):
  config = config_of(
    monkeypatch, **{"train": GOOD, "test": GOOD, split: GOOD + offset}
  )
  with pytest.raises(
    ValueError, match=rf"Labels of 'mine' \(split '{split}'\).* {count} of 40"
  ):
    loop.train(config, tmp_path / "run")
  assert not (tmp_path / "run").exists()
