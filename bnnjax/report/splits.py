"""How many examples a run was evaluated on, where its record tells."""

import re
from collections.abc import Mapping
from typing import Any

# Examples of the splits of public data sets, by `data.name`.
SIZES: Mapping[str, Mapping[str, int]] = {
  "digits": {"train": 1_347, "test": 450},
  "fashion_mnist": {"train": 60_000, "test": 10_000},
  "fashion_mnist_mini": {"train": 10_000, "test": 2_000},
  "wordnet_mini": {"train": 13_746, "test": 1_389},
  "tfds:cifar10": {"train": 50_000, "test": 10_000},
  "tfds:cifar100": {"train": 50_000, "test": 10_000},
  "tfds:fashion_mnist": {"train": 60_000, "test": 10_000},
  "tfds:imagenet2012": {"train": 1_281_167, "validation": 50_000},
  "tfds:mnist": {"train": 60_000, "test": 10_000},
}
_SPLIT = re.compile(r"(\w+)(?:\[(-?\d+%?)?:(-?\d+%?)?\])?")


def examples(record: Mapping[str, Any]) -> int | None:
  """Number of examples that a run was evaluated on.

  Returns:
    `None` if that is not known for certain: another data set, options of the
    data, or a task that does not have one answer for each
    example.
  """
  config = record["config"]
  data, task = config.get("data"), config.get("task")
  if not isinstance(data, Mapping) or not isinstance(task, Mapping):
    return None
  sizes = SIZES.get(str(data.get("name")))
  if task.get("name") != "classification" or data.get("options") or not sizes:
    return None
  found = _SPLIT.fullmatch(str(data.get("eval_split")).replace(" ", ""))
  if not found or found[1] not in sizes:
    return None
  whole = range(sizes[found[1]])
  first, last = (_position(p, len(whole)) for p in found.groups()[1:])
  return len(whole[first:last]) or None


def _position(text: str | None, length: int) -> int | None:
  """Where a part begins or ends, as `bnnjax.data` reads it."""
  if text is None or not text.endswith("%"):
    return None if text is None else int(text)
  return round(int(text[:-1]) * length / 100)
