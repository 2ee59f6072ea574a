"""Facts about the data that a config leaves open: shape, vocabulary, classes.

Most configs leave `data.shape`, `data.vocab` and `data.num_classes` empty,
because the source knows them (`data.info`). `config.resolve` fills them in
once, so that every reader of a resolved config finds the values. A config that
states them needs no data set on this machine.
"""

from typing import Any

import numpy as np
from ml_collections import ConfigDict

from bnnjax import data
from bnnjax.data import augment, sources
from bnnjax.errors import UserError
from bnnjax.tasks.base import Task

# Sizes of two arbitrary images: an augmentation that makes these two alike makes
# all images alike.
_PROBES = ((640, 480), (480, 854))


def options_of(settings: ConfigDict) -> dict[str, Any]:
  """The options of the source; a text's shape sets its `max_len`.

  Args:
    settings: `config.data`.
  """
  name, shape = settings.name, settings.shape
  options = settings.options.to_dict()
  if len(shape) == 1 and "max_len" in data.options_of(name):
    return {"max_len": shape[0], **options}
  return options


def ask(settings: ConfigDict, task: Task) -> None:
  """Asks the source for the facts that a task needs, and fills them in.

  The source is asked only if such a fact is missing.

  Args:
    settings: `config.data`, is changed.
    task: that uses the data.

  Raises:
    UserError: the images vary in size, and no augmentation makes them alike.
    DataNotFoundError, ImportError: the source knows nothing without its data or
      without a package, and these are not here; says what to set.
  """
  lacking = _lacking(settings, task)
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
  """Sets each of the three fields that is empty to what the source says.

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


def _lacking(settings: ConfigDict, task: Task) -> list[str]:
  """Fields that are empty although the task needs them."""
  text, classes = len(settings.shape) == 1, "num_classes" in task.needs
  missing = {
    "data.shape": not settings.shape,
    "data.vocab": text and not settings.vocab,
    "data.num_classes": classes and not settings.num_classes,
  }
  return [field for field, lacks in missing.items() if lacks]


def _shape(settings: ConfigDict, info: sources.DatasetInfo) -> tuple[int, ...]:
  """Shape of an input after `data.eval_augment`."""
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
