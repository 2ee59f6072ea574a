"""Functions for config files: defaults, arguments, methods, smoke runs.

  from bnnjax import config as config_lib

  def get_config(arg=""):
    arg = config_lib.parse_arg(arg, method="bireal", smoke=False)
    config = config_lib.base()  # every field with its default
    config.data.name = "fashion_mnist"
    config.model = {"name": "resnet"}
    config_lib.use_method(config, arg.method)
    if arg.smoke:
      config_lib.make_smoke(config)
    return config.lock()

`resolve` checks a config and fills in what it leaves out, as a run does;
`bnnjax.train.config_fields` lists the fields.
"""

import warnings
from typing import Any

from ml_collections import ConfigDict

from bnnjax import (
  deprecated,
  methods,  # noqa: F401 (registers every preset)
  tasks,
)
from bnnjax.core import registry
from bnnjax.train import data_facts
from bnnjax.train.config import resolve
from bnnjax.train.config_fields import base

__all__ = (
  "base", "make_smoke", "parse_arg", "resolve", "use_images", "use_method"
)  # fmt: skip
HELD_OUT = 10_000  # training images of Fashion-MNIST on which choices are made


def parse_arg(arg: str, **defaults: Any) -> ConfigDict:
  """Reads the arguments of a config file, i.e. what follows the colon.

  Args:
    arg: `"smoke,width=0.5"`; a bare name means True, and a value may be a spec
      with commas in its brackets.
    **defaults: every argument that the file takes, with its default; the type
      of the default decides how a value is read.

  Raises:
    ValueError: the file does not take the argument, or the value has another
      type.

  Example:
    >>> parse_arg("smoke,width=0.5", smoke=False, width=1.0).width
    0.5
  """
  parsed = dict(defaults)
  for part in filter(None, _split(arg or "")):
    key, given, text = part.partition("=")
    if key not in defaults:
      raise registry.unknown("argument of this config", key, defaults)
    kind = type(defaults[key])
    try:
      if kind is bool:
        bools = {"": True, "1": True, "true": True, "0": False, "false": False}
        parsed[key] = bools[text.lower()]
      else:
        parsed[key] = kind(text)
    except (KeyError, ValueError):
      wanted = f"`{key}={kind.__name__}`"
      raise ValueError(
        f"Argument {part!r} of this config: expected {wanted}"
        f"{'' if given else ', got no value'}."
      ) from None
  return ConfigDict(parsed)


def _split(text: str) -> list[str]:
  """Splits at the commas outside brackets."""
  parts, depth = [""], 0
  for letter in text:
    depth += (letter in "([") - (letter in ")]")
    if letter == "," and depth <= 0:
      parts.append("")
    else:
      parts[-1] += letter
  return parts


def use_method(config: ConfigDict, name: str) -> None:
  """Sets binarizers, attention, projection and events of a method, in place.

  Args:
    config: with `model.name` set.
    name: a method (`bnnjax list method`), an estimator's spec, or `float`.

  Warns:
    UserWarning: the method is for attention, and the model has none.
  """
  name = deprecated.current_name("method", name)
  config.model.update(weight=name, act=name)
  if name not in registry.registered("method"):
    return
  method = registry.get("method", name)
  takes = registry.accepts("model", config.model.name)
  if "attention" in takes and method.attention:
    config.model.attention = name
  elif method.attention:
    warnings.warn(
      f"The method {name!r} is for attention, which the model"
      f" {config.model.name!r} does not have: only the binarizers of its layers"
      " are used. Choose a transformer, such as 'vit' or 'bert'.",
      stacklevel=2,
    )
  if "embedding" in takes and method.embedding.spec:
    config.model.embedding = name
  config.optim.projection = method.projection or ""
  config.events = method.events


def use_images(config: ConfigDict, images: int, *, validate: bool) -> None:
  """Trains on the first images of the whole Fashion-MNIST, in place.

  Evaluation is on the 10,000 test images or, for choices, on the last 10,000
  of the 60,000 training images, which no run trains on.

  Args:
    config: with the rest of `data` set.
    images: number of training images; 0 leaves `data` as it is.
    validate: whether to evaluate on training images that are held out.

  Raises:
    ValueError: more images than the 50,000 that are not held out, or
      `validate` without `images`.
  """
  kept = 60_000 - HELD_OUT
  if not 0 <= images <= kept:
    raise ValueError(f"`images` must be from 0 to {kept}, got {images}.")
  if not images:
    if validate:
      raise ValueError(
        "`validate` holds images of the whole Fashion-MNIST out: give `images`,"
        " e.g. `images=10000,validate`."
      )
    return
  config.data.update(
    name="fashion_mnist",
    train_split=f"train[:{images}]",
    eval_split=f"train[{kept}:]" if validate else "test",
  )


def make_smoke(config: ConfigDict) -> None:
  """Makes a config run in seconds on fake data, in place.

  The run has four steps of 16 examples: images of at most 32 x 32 pixels, or
  texts of at most 32 tokens of 128. The data keep their kind, their channels
  and up to 10 classes (texts without classes become windows of one text).
  Events move to the first quarter of the run. The config file shrinks the
  model.
  """
  data_facts.ask(config.data, tasks.build(config.task))
  classes = min(config.data.num_classes, 10)
  if config.data.vocab:
    name, augment = ("fake_text" if classes else "fake_tokens"), ()
    shape = (min(config.data.shape[0], 32),)
    vocab = min(config.data.vocab, 128)
    options = {"vocab": vocab}
  else:
    name, augment, vocab = "fake", ("flip",), 0
    height, width, channels = config.data.shape
    shape = (min(height, 32), min(width, 32), channels)
    options = {"shape": shape}
  if classes:
    options["num_classes"] = classes
  config.steps = 4
  # `update` would keep the options of the real source.
  config.data.options = {**options, "size": 64}
  config.data.update(
    name=name,
    shape=shape,
    vocab=vocab,
    num_classes=classes,
    batch_size=16,
    eval_batch_size=16,
    augment=augment,
    eval_augment=(),
    train_split="train",
    eval_split="test",
    threads=1,
  )
  config.events = tuple((0.25, name) for _, name in config.events)
