"""What a config leaves to its data set: shape, vocabulary, number of classes.

`data.shape`, `data.vocab` and `data.num_classes` are empty in most configs: the
source knows them (`data.info`). They are filled in once, where a config is
resolved, so that whatever reads or stores a resolved one finds the values. What
a config does say needs no data set on this machine.
"""

from typing import Any

import numpy as np
from ml_collections import ConfigDict

from bnnjax import data, tasks
from bnnjax.data import augment, sources
from bnnjax.errors import UserError

# Two images of whatever sizes: what leaves them alike leaves all alike.
_PROBES = ((640, 480), (480, 854))


def options_of(settings: ConfigDict) -> dict[str, Any]:
  """The options of the source, with those that the shape decides.

  Args:
    settings: `config.data`.
  """
  name, shape = settings.name, settings.shape
  options = settings.options.to_dict()
  if len(shape) == 1 and "max_len" in data.options_of(name):
    return {"max_len": shape[0], **options}
  return options


def ask(config: ConfigDict) -> None:
  """Fills in what the source has to say, in place, if anything lacks.

  Args:
    config: unlocked, with every field.

  Raises:
    UserError: the images vary in size, and no augmentation makes them alike.
    DataNotFoundError, ImportError: the source knows nothing without its data,
      or a package, which are not here: says what to set.
  """
  settings = config.data
  lacking = _lacking(config)
  if not lacking or not settings.name:
    return
  try:
    info = data.info(
      settings.name, settings.train_split, **options_of(settings)
    )
  except (FileNotFoundError, ImportError) as error:
    fields = " and ".join(f"`{field}`" for field in lacking)
    raise type(error)(
      f"The config leaves {fields} to the data set {settings.name!r}, which is"
      f" not here: set {'it' if len(lacking) == 1 else 'them'}, or get the data"
      f" set. {error}"
    ) from error
  fill(settings, info)


def fill(settings: ConfigDict, info: sources.DatasetInfo) -> None:
  """Sets those of the three fields that are empty to what a source says.

  Args:
    settings: `config.data`, is changed.
    info: of the source.

  Raises:
    UserError: the images vary in size, and no augmentation makes them alike.
  """
  if not settings.shape:
    settings.shape = _shape(settings, info)
  settings.vocab = settings.vocab or info.vocab
  settings.num_classes = settings.num_classes or info.num_classes


def _lacking(config: ConfigDict) -> list[str]:
  """Fields that are empty and have to be known."""
  settings = config.data
  needs = tasks.build(config.task).needs
  text = len(settings.shape) == 1
  missing = {
    "data.shape": not settings.shape,
    "data.vocab": text and not settings.vocab,
    "data.num_classes": "num_classes" in needs and not settings.num_classes,
  }
  return [field for field, lacks in missing.items() if lacks]


def _shape(settings: ConfigDict, info: sources.DatasetInfo) -> tuple[int, ...]:
  """Shape of an input after the augmentations of evaluation."""
  if info.kind is sources.TEXT:
    return tuple(info.shape)
  augments = augment.parse(settings.eval_augment)
  height, width, channels = info.shape
  found = set()
  for h, w in _PROBES:
    blank = np.zeros((1, height or h, width or w, channels), np.uint8)
    blank = augment.apply(augments, blank, np.random.default_rng(0))
    found.add(blank.shape[1:])
  if len(found) > 1:
    raise UserError(
      f"The images of {settings.name!r} differ in size, and with"
      f" `data.eval_augment` {settings.eval_augment!r} they still do: end it with"
      " 'resize(256)', 'center_crop(224)', and begin `data.augment` with"
      " 'random_resized_crop(224)'."
    )
  return found.pop()
