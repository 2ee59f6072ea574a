"""What a config leaves out, its source says; what it says, no source is asked."""

import numpy as np
import pytest

from bnnjax import config as config_lib
from bnnjax import data, tasks
from bnnjax.core import registry
from bnnjax.data import sources
from bnnjax.train import data_facts, job


def config_of(name, task="classification", model="mlp", **fields):
  config = config_lib.base()
  config.data.update(name=name, batch_size=16, **fields)
  config.model = {"name": model}
  config.task = {"name": task}
  return config


def told(config):
  settings = config_lib.resolve(config).data
  return settings.shape, settings.vocab, settings.num_classes


@pytest.mark.parametrize(
  ("fields", "expected"),
  [
    ({"name": "fashion_mnist"}, ((28, 28, 1), 0, 10)),
    (
      {"name": "fashion_mnist_mini", "eval_augment": ("resize(14)",)},
      ((14, 14, 1), 0, 10),
    ),
    (
      {"name": "fake", "options": {"shape": (6, 9, 3), "num_classes": 4}},
      ((6, 9, 3), 0, 4),
    ),
    ({"name": "fake", "shape": (28, 28, 1)}, ((28, 28, 1), 0, 10)),
    ({"name": "wordnet", "model": "bert"}, ((32,), 4096, 26)),
    (
      {"name": "wordnet_mini", "model": "bert", "shape": (9,)},
      ((9,), 4096, 26),
    ),
    (
      {
        "name": "plays_mini", "model": "mamba", "task": "language_modeling",
        "options": {"tokenizer": "bytes"},
      },
      ((128,), 256, 0),
    ),
    (
      {
        "name": "plays_mini", "model": "mamba", "task": "language_modeling",
        "shape": (16,),
      },
      ((16,), 70, 0),
    ),
  ],
)  # fmt: skip
def test_what_is_left_out_is_asked(fields, expected):
  fields = dict(fields)
  config = config_of(fields.pop("name"), **fields)
  assert told(config) == expected
  shape, vocab, classes = expected
  config.data.update(shape=shape, vocab=vocab, num_classes=classes)
  assert told(config) == expected


def test_what_is_said_asks_nobody(monkeypatch):
  monkeypatch.setattr(data, "info", None)  # not to be called
  config = config_of("tfds:cifar10", shape=(32, 32, 3), num_classes=10)
  assert told(config) == ((32, 32, 3), 0, 10)


@pytest.mark.parametrize(
  ("fields", "message"),
  [
    ({}, "leaves `data.shape` and `data.num_classes` to .* set them.* 'cifar'"),
    ({"shape": (32, 32, 3)}, "leaves `data.num_classes` to .*: set it, or get"),
  ],
)
def test_what_a_data_set_that_is_not_here_should_say(tmp_path, fields, message):
  options = {"data_dir": str(tmp_path)}
  config = config_of("tfds:cifar", options=options, **fields)
  with pytest.raises(data.DataNotFoundError, match=message):
    config_lib.resolve(config)


def test_a_builder_of_tfds_knows_without_the_data(tmp_path):
  options = {"data_dir": str(tmp_path)}
  config = config_of("tfds:cifar10", options=options)
  assert told(config) == ((32, 32, 3), 0, 10)
  crop = ("resize(256)", "center_crop(224)")
  config = config_of("tfds:imagenet2012", options=options, eval_augment=crop)
  assert told(config) == ((224, 224, 3), 0, 1000)
  config = config_of(
    "tfds:ag_news_subset", "language_modeling", "mamba",
    options={**options, "text": "title", "tokenizer": "chars"},
  )  # fmt: skip
  with pytest.raises(data.DataNotFoundError, match="to .* is not prepared in"):
    config_lib.resolve(config)


@pytest.fixture
def restored():
  """Forgets what a test registers."""
  with registry.restored():
    yield


@pytest.fixture
def varying(restored):
  """A source of images of many sizes, that is not opened to say so."""

  def info(split, *, size):
    return data.DatasetInfo("mine", (None, None, 3), size, (0.5,), (0.25,))

  @registry.register("source", "mine")
  @sources.with_info(info)
  def mine(split, *, size: int = 5):
    raise AssertionError("opened")


@pytest.mark.usefixtures("varying")
def test_images_that_vary_in_size():
  crop = ("resize(20)", "center_crop(16)")
  assert told(config_of("mine", eval_augment=crop)) == ((16, 16, 3), 0, 5)
  options = {"size": 7}
  made = config_of("mine", eval_augment=crop, options=options)
  assert told(made)[2] == 7
  for augments in ((), ("resize(20)",)):
    with pytest.raises(ValueError, match="differ in size, and with.* still do"):
      config_lib.resolve(config_of("mine", eval_augment=augments))
  stated = config_of("mine", shape=(9, 9, 3))
  assert told(stated) == ((9, 9, 3), 0, 5)


@pytest.mark.usefixtures("restored")
def test_a_source_that_declares_nothing_is_opened():
  @registry.register("source", "mine")
  def mine(split):
    images = np.zeros((32, 4, 6, 1), np.uint8)
    info = data.DatasetInfo("mine", (4, 6, 1), 3, (0.5,), (0.25,))
    return data.ArraySource(images, np.arange(32) % 3, info)

  assert told(config_of("mine")) == ((4, 6, 1), 0, 3)


def test_a_run_knows_the_classes_that_its_task_does_not_need():
  """As one whose config says them: a later run learns from it as from that."""
  config = config_of(
    "fake_text", "masked_lm", "bert", shape=(8,), vocab=32,
    options={"vocab": 32, "num_classes": 3, "size": 32},
  )  # fmt: skip
  config.model.update(features=8, heads=2, blocks=1)
  config.task.mask = 4
  assert told(config) == ((8,), 32, 0)
  assert job.Job(config).config.data.num_classes == 3


def test_smoke_asks_for_what_is_left_out():
  config = config_of("wordnet_mini", model="bert", shape=(64,))
  config_lib.make_smoke(config)
  assert config.data.name == "fake_text"
  assert told(config) == ((32,), 128, 10)
  lacking = config_lib.base()
  data_facts.ask(
    lacking.data, tasks.build(lacking.task)
  )  # no source: what lacks is the config's check to say
  assert lacking == config_lib.base()
