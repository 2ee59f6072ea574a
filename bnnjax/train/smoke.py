"""A config that runs in seconds, on fake data."""

from ml_collections import ConfigDict

from bnnjax.train import facts


def make_smoke(config: ConfigDict) -> None:
  """Turns a config into one that runs in seconds on fake data, in place.

  Four steps of 16 images of the same number of channels and classes, at most
  32 pixels wide, or of 16 texts of at most 32 tokens and 128 entries (without
  classes: windows of one text); events move to the first quarter. The model is
  the config file's business.
  """
  facts.ask(config)
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
  # Not by `update`, which would keep those of the real source.
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
