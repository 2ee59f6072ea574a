"""Data sets of a run: its sources and batches, and the meaning of a token."""

import warnings
from collections.abc import Mapping
from typing import Any

import numpy as np
from ml_collections import ConfigDict

from bnnjax import data
from bnnjax.data.sources import Subset
from bnnjax.errors import UserError
from bnnjax.tasks.base import Task
from bnnjax.train import config as config_lib
from bnnjax.train import data_facts


def open_data(settings: ConfigDict):
  """Training and evaluation source of `config.data`, unchecked.

  Raises:
    ValueError: unknown name, split or option.
    FileNotFoundError: the data set is not here; says how to get it.
    ImportError: it needs a package that is not installed.
  """
  options = data_facts.options_of(settings)
  return [
    data.load(settings.name, split, **options)
    for split in (settings.train_split, settings.eval_split)
  ]


def load_data(config: ConfigDict, task: Task):
  """Training and evaluation source, checked against config and task.

  Args:
    config: resolved; what it leaves open is filled in.
    task: of the run.

  Raises:
    ValueError: other shape, vocabulary or number of classes than configured.
    FileNotFoundError: the data set is not here; says how to get it.

  Warns:
    UserWarning: it is evaluated on examples that it is trained on.
  """
  settings, sources = config.data, open_data(config.data)
  _warn_if_shared(settings, *sources)
  augments = (settings.augment, settings.eval_augment)
  for source, augment in zip(sources, augments):
    kind, vocab = source.info.kind, source.info.vocab
    _check_example(config, task, source)
    if vocab != settings.vocab:
      has = f"has {vocab} entries" if vocab else "holds images (0)"
      raise ValueError(
        f"`data.vocab` is {settings.vocab}, but {settings.name!r} {has}."
      )
    shape = data.input_shape(source, augment)
    if tuple(shape) != tuple(settings.shape):
      raise ValueError(
        f"`data.shape` is {tuple(settings.shape)}, but {kind.plural} of"
        f" {settings.name!r} arrive as {tuple(shape)}"
        f" ({', '.join(kind.axes)})."
      )
    # 0: nobody needs them, so that nobody has asked.
    if settings.num_classes not in (0, source.info.num_classes):
      raise ValueError(
        f"`data.num_classes` is {settings.num_classes}, but {settings.name!r} has"
        f" {source.info.num_classes} classes."
      )
  with config.unlocked():
    data_facts.fill(settings, sources[0].info)
  return sources


def _warn_if_shared(
  settings: ConfigDict, train: data.Source, evaluation: data.Source
) -> None:
  """Warns if two parts of one split overlap, see `load_data`."""
  splits = settings.train_split, settings.eval_split
  if len({split.partition("[")[0].strip() for split in splits}) > 1:
    return
  one, other = (
    source.range if isinstance(source, Subset) else range(len(source))
    for source in (train, evaluation)
  )
  shared = range(max(one.start, other.start), min(one.stop, other.stop))
  if shared:
    warnings.warn(
      f"{len(shared):,} of the {len(other):,} examples to evaluate on are also"
      f" trained on (`data.train_split` {splits[0]!r}, `data.eval_split`"
      f" {splits[1]!r}): the metrics do not say how the network does on new"
      " examples. Cut the split in two parts, such as 'train[:75%]' and"
      " 'train[75%:]'.",
      stacklevel=3,
    )


def _check_example(config: ConfigDict, task: Task, source: data.Source) -> None:
  """Raises if the examples of a source lack what the task reads.

  Inputs and labels of a wrong shape or type have errors of their own.
  """
  name, info, example = config.task.name, config_lib.info_of(config), source[0]
  wanted = task.example(info)
  lacking = wanted.keys() - example.keys() - {info.kind.key}
  if lacking:
    raise ValueError(
      f"Task {name!r} reads {', '.join(sorted(lacking))} of an example, which"
      f" {config.data.name!r} does not have: it is for another task."
    )
  for key in sorted(wanted.keys() - {info.kind.key, "label"}):
    got, like = np.asarray(example[key]), wanted[key]
    fits = np.can_cast(got.dtype, like.dtype, "same_kind")
    if got.shape != like.shape[1:] or not fits:
      raise ValueError(
        f"Task {name!r} reads {key!r} of an example as {like.dtype}"
        f" {like.shape[1:]}: {config.data.name!r} gives {got.dtype} {got.shape}."
      )


def tokenizer_of(config: ConfigDict):
  """The tokenizer of a language model's data, for prompts and samples.

  Raises:
    ValueError: the data have none.
    FileNotFoundError: the data set is not here; says how to get it.
  """
  settings = config.data
  return data.tokenizer_of(
    settings.name, settings.eval_split, **data_facts.options_of(settings)
  )


def make_train_batches(config: ConfigDict, source):
  """An endless iterator over batches of the training split; it can be saved."""
  settings = config.data
  return data.make_train_iterator(
    source,
    batch_size=settings.batch_size,
    seed=config.seed,
    augment=settings.augment,
    threads=settings.threads,
    workers=settings.workers,
  )


def make_eval_batches(config: ConfigDict, source):
  """Batches of the evaluation split."""
  return data.make_eval_batches(
    source,
    batch_size=config.data.eval_batch_size,
    augment=config.data.eval_augment,
    threads=config.data.threads,
  )


def check_vocabulary(
  config: ConfigDict,
  theirs: ConfigDict,
  mine: str = "",
  info: Mapping[str, Any] | None = None,
) -> None:
  """Raises if the tokens of two runs on text have different meanings.

  Args:
    config: of this run.
    theirs: of the other run.
    mine: digest of the vocabulary of this run, see `Source.vocabulary`.
    info: of the other's checkpoint; if it is too old to know the digest of its
      vocabulary, the names of the two vocabularies are compared.

  Raises:
    UserError: says what differs.
  """
  data = (info or {}).get("identity", {}).get("data", {})
  their = data.get("vocabulary", "")
  if mine and their:
    if mine != their:
      raise UserError(
        "Both runs must read the same vocabulary, a token means nothing without"
        f" it: that of {theirs.data.name!r} there differs from that of"
        f" {config.data.name!r} here (`data.options`, or what its files held)."
      )
    return
  ours, others = map(_vocabulary, (config, theirs))
  for field, value in ours.items():
    if others.get(field) != value:
      raise UserError(
        "Both runs must read the same vocabulary, a token means nothing without"
        f" it: `data.{field}` is {others.get(field, '')!r} there and {value!r}"
        " here."
      )


def _vocabulary(config: ConfigDict) -> dict[str, Any]:
  """The config fields that decide what a token means."""
  name = config.data.name
  options = {**data.defaults_of(name), **config.data.options.to_dict()}
  fields = ["tokenizer", "vocab_file", "lowercase"]
  if options.get("tokenizer") == "chars":  # those of the training text
    fields.append("path")
  found = {f"options.{f}": options.get(f) for f in fields}
  found = {f: "" if value is None else value for f, value in found.items()}
  return found | ({"name": name} if "path" in fields else {})
