"""Fields of a record, by name: of its config, its cost, or derived from them.

A name is a dotted path in the config (`optim.lr`, `model.width`), a field of
the record (`seed`, `device`, `metrics.accuracy`, `cost.ace`, `versions.jax`), or
one of `DERIVED`: what a person calls the network, the method, the bits and the
task of a run.
"""

import re
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from bnnjax.errors import UserError, unknown

Record = Mapping[str, Any]

FLOAT = "float"
_PAIR = re.compile(r"w(\d+)a(\d+)")
# A record holds the arguments that a model was given: these are the defaults of
# `weight` and `act`.
METHODS = {
  "binary_alexnet": ("ste", "ste"),
  "bert": ("ste|channel_l1", "ste"),
  "decoder": ("fbi_llm", None),
  "binary_densenet": ("ste", "ste"),
  "mamba": ("fbi_llm", None),
  "meliusnet": ("ste", "ste"),
  "mlp": ("ste", "ste"),
  "mobilenet": (None, None),
  "pokebnn": ("pokebnn", "pokebnn"),
  "quicknet": ("ste(clip=1.25)", "ste(clip=1.25)"),
  "reactnet": ("reactnet", "approx_sign"),
  "resnet": ("ste", "ste"),
  "vgg_small": ("ste", "ste"),
  "vit": ("ste|channel_l1", "ste"),
}
# Parts of a record in which a path may begin; the config needs no prefix.
_PARTS = ("metrics", "cost", "versions", "config")


def value(record: Record, path: str) -> Any:
  """The value of a field of a record.

  Args:
    record: one line of a file of records.
    path: name of the field, see the module.

  Returns:
    The value, as JSON holds it; `None` if this (older) record has no such field.
    `check` finds a name that no record has.
  """
  if path in DERIVED:
    return DERIVED[path](record)
  head, _, rest = path.partition(".")
  if rest and head in _PARTS:
    return _walk(record.get(head), rest)
  found = _walk(record["config"], path)
  if found is None and path in record and path not in _PARTS:
    return record[path]
  return found


def _walk(held: Any, path: str) -> Any:
  for name in path.split("."):
    if not isinstance(held, dict) or name not in held:
      return None
    held = held[name]
  return held


def check(records: Iterable[Record], path: str) -> None:
  """Raises `UserError` if no record has the field; it says the nearest name."""
  records = list(records)
  if path in DERIVED or any(value(r, path) is not None for r in records):
    return
  known = names(records)
  if path not in known:  # a field may be null in every record
    raise unknown("field", path, known)


def names(records: Iterable[Record]) -> list[str]:
  """All names that `value` takes for these records, sorted."""
  found, seen = set(DERIVED), set()
  for record in records:
    found |= record.keys() - set(_PARTS) - {"data"}
    for part in _PARTS:
      held = record.get(part)
      if isinstance(held, Mapping) and id(held) not in seen:
        seen.add(id(held))  # runs that were loaded together share them
        prefix = "" if part == "config" else f"{part}."
        found |= {prefix + path for path in leaves(held)}
  return sorted(found)


def leaves(held: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
  """Values of nested objects by dotted path; an empty object is a value."""
  found = {}
  for key, inner in held.items():
    if isinstance(inner, Mapping) and inner:
      found |= leaves(inner, f"{prefix}{key}.")
    else:
      found[f"{prefix}{key}"] = inner
  return found


def show(found: Any) -> str:
  """A value as a label: `0.01`, `14 x 14`; `not recorded` for `None`."""
  if found in ("", [], ()):
    return "(empty)"
  if found is None:
    return "not recorded"
  if isinstance(found, float):
    short = f"{found:g}"
    return short if float(short) == found else repr(found)
  if isinstance(found, list | tuple):
    return " x ".join(map(show, found))
  return str(found)


def number(record: Record, path: str) -> float | None:
  """A finite number of a record; `None` if it has none under that name."""
  return finite(value(record, path))


def finite(found: Any) -> float | None:
  """A value if it is a number that a float can hold, else `None`."""
  plain = isinstance(found, int | float) and not isinstance(found, bool)
  return found if plain and abs(found) <= sys.float_info.max else None


def network(record: Record) -> str | None:
  """Model and variant, e.g. `resnet 8`."""
  model = record["config"].get("model")
  if not isinstance(model, Mapping) or not model.get("name"):
    return None
  variant = model.get("variant")
  return f"{model['name']} {variant}" if variant else str(model["name"])


def binarizers(record: Record) -> tuple[str, str] | None:
  """What binarizes weights, and what activations; `None` if unknown."""
  model = record["config"].get("model")
  if not isinstance(model, Mapping):
    return None
  defaults = METHODS.get(str(model.get("name")))
  if defaults is None and not {"weight", "act"} <= model.keys():
    return (FLOAT, FLOAT) if bits(record) == FLOAT else None
  given = {**dict(zip(("weight", "act"), defaults or ())), **model}
  weight, act = (
    show(FLOAT if given[k] in (None, "") else given[k])
    for k in ("weight", "act")
  )
  return weight, act


def method(record: Record) -> str | None:
  """What binarizes weights and activations: `reste`, `float`, `fbi_llm / float`.

  `None` if the record does not say, as one of a model of yours by default.
  """
  found = binarizers(record)
  return None if found is None else " / ".join(dict.fromkeys(found))


def bits(record: Record) -> str | None:
  """The pair of widths with the most multiply-accumulates: `w1a1`, or `float`.

  Of pairs with equally many, it is the narrowest.
  """
  macs = record["cost"].get("macs")
  if not isinstance(macs, Mapping):
    return None
  pairs = [
    (-count, int(found[1]) * int(found[2]), name)
    for name, count in macs.items()
    if (found := _PAIR.fullmatch(name)) and isinstance(count, int | float)
  ]
  if not pairs:
    return None
  *_, name = min(pairs)
  return FLOAT if name == "w32a32" else name


def task(record: Record) -> str | None:
  """What was trained and evaluated on: runs of one task can be compared.

  Returns:
    One line: `fashion_mnist, train[:10000], 14 x 14`, with the evaluation split,
    the task and the options of the data unless `test`, `classification`, none.
  """
  config = record["config"]
  data = config.get("data")
  if not isinstance(data, Mapping) or not data.get("name"):
    return None
  words = [show(data["name"])]
  if data.get("train_split"):
    words.append(show(data["train_split"]))
  if data.get("eval_split") not in (None, "", "test"):
    words.append(f"evaluated on {show(data['eval_split'])}")
  shape = data.get("shape")
  if isinstance(shape, list | tuple) and shape:
    side = shape[:2] if len(shape) == 3 else shape
    words.append(show(side) + (" tokens" if len(side) == 1 else ""))
  name = _walk(config, "task.name")
  if name not in (None, "", "classification"):
    words.append(show(name))
  options = data.get("options")
  if isinstance(options, Mapping):
    words += [f"{k} = {show(v)}" for k, v in sorted(options.items())]
  return ", ".join(words)


DERIVED: dict[str, Callable[[Record], Any]] = {
  "name": lambda record: record["name"],
  "seed": lambda record: record["seed"],
  "device": lambda record: record["device"],
  "commit": lambda record: record["commit"],
  "network": network,
  "method": method,
  "weight": lambda record: (binarizers(record) or (None, None))[0],
  "act": lambda record: (binarizers(record) or (None, None))[1],
  "bits": bits,
  "task": task,
}


class Metric(NamedTuple):
  """A metric of a report.

  Attributes:
    name: its key in `metrics`.
    label: as a heading, with the unit.
    factor: what a recorded value is multiplied by, 100 for a percentage.
    higher_is_better: `None` if the name does not say.
  """

  name: str
  label: str
  factor: float
  higher_is_better: bool | None

  def of(self, record: Record) -> float | None:
    """The value in the unit of the label; `None` if the record has none."""
    found = finite(record["metrics"].get(self.name))
    return None if found is None else self.factor * found


# In the order in which tasks prefer them: language models report an accuracy
# too, but are judged by bits per character.
HEADLINES = ("bits_per_char", "accuracy", "perplexity", "loss")


def metric(name: str) -> Metric:
  """Label, unit and direction of a metric, from its name."""
  words = name.replace("_", " ")
  if "accuracy" in name:
    return Metric(name, f"{words}, %", 100.0, True)
  if name.endswith(HEADLINES):
    words = words.replace("per char", "per character")
    return Metric(name, words, 1.0, False)
  return Metric(name, words, 1.0, None)


def metric_of(records: Sequence[Record]) -> Metric:
  """The headline metric of runs of one kind of task.

  Raises:
    UserError: no records, records without one, or of tasks whose headlines
      differ.
  """
  heads: dict[str | None, Record] = {}
  for record in records:
    has = record["metrics"]
    heads.setdefault(next((n for n in HEADLINES if n in has), None), record)
  if not heads:
    raise UserError("There are no records to report.")
  if None in heads:
    known = sorted({n for r in records for n in r["metrics"]})
    raise UserError(
      f"The record {heads[None]['id']!r} has none of the metrics"
      f" {', '.join(HEADLINES)}: name one with `metric`. The records have:"
      f" {', '.join(known) or '(none)'}."
    )
  if len(heads) > 1:
    which = " and ".join(f"{n} ({show(task(r))})" for n, r in heads.items())
    raise UserError(
      f"The records are of tasks with different metrics: {which}. Filter them"
      " by task, or name a metric that all have with `metric`."
    )
  return metric(next(iter(heads)))


def check_metric(records: Sequence[Record], name: str) -> Metric:
  """A metric that a person named.

  Raises:
    UserError: no record has it; the message says the nearest name.
  """
  known = {n for r in records for n in r["metrics"]}
  if name not in known:
    raise unknown("metric", name, known)
  return metric(name)
