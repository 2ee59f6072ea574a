"""Runs of a second, how they end early, and what they leave."""

import json
import signal

import pytest

from bnnjax import config as config_lib
from bnnjax.core import registry
from bnnjax.train import loop, runs, stops


def tiny(**model):
  """Eight steps of a small MLP."""
  config = config_lib.base()
  config.data.update(shape=(4, 4, 1), num_classes=3)
  config_lib.make_smoke(config)
  config.data.augment = ()
  config.steps = 8
  config.eval_every = 1.0  # 4 steps
  config.log_every = 2
  config.optim.lr = 0.03
  config.model = {"name": "mlp", "hidden": (8, 8), **model}
  return config


def tiny_text(**model):
  """Eight steps of a BERT of one block."""
  config = config_lib.base()
  config.data.update(shape=(12,), vocab=40, num_classes=3)
  config_lib.make_smoke(config)
  config.steps = 8
  config.log_every = 2
  config.optim.lr = 0.01
  config.model = {
    **{"name": "bert", "features": 16, "heads": 2, "blocks": 1},
    **{"weight": "ste|channel_l1", "act": "ste", **model},
  }
  return config


def tiny_lm():
  """Four steps of a decoder of one block, on windows of one text."""
  config = config_lib.base()
  config.data.update(shape=(12,), vocab=40)
  config_lib.make_smoke(config)
  config.task = {"name": "language_modeling"}
  sizes = {"features": 16, "blocks": 1, "heads": 2, "hidden": 32}
  config.model = {"name": "decoder", **sizes}
  return config


def mlp(stages=(), optim=None, **model):
  """A resolved config of an MLP of one layer, for what needs no training."""
  made = tiny()
  made.model = {"name": "mlp", "hidden": (4,), **model}
  made.optim.update(optim or {})
  made.stages = stages
  return config_lib.resolve(made)


def changed(config, changes):
  """A config as a dict, with fields set by dotted name."""
  config = config.to_dict()
  for path, value in changes.items():
    *parents, leaf = path.split(".")
    node = config
    for parent in parents:
      node = node[parent]
    node[leaf] = value
  return config


def lines(workdir, name="metrics.jsonl"):
  text = (workdir / name).read_text()
  return [json.loads(x) for x in text.split("\n")[:-1]]


def variables(config, workdir):
  """What a run has trained."""
  _, state, _ = runs.restore(config_lib.resolve(config), workdir, "last")
  return {"params": state["params"], "rest": state["rest"]}


class StopAt(stops.Signals):
  """A signal that comes at a step."""

  def __init__(self, step, number=signal.SIGTERM):
    super().__init__()
    self._step, self._number = step, number

  def should_stop(self, step):
    if step >= self._step:
      self.number = self._number
    return super().should_stop(step)


class KillAt(stops.Signals):
  """The process dies after a step, before anything else is saved."""

  def __init__(self, step):
    super().__init__()
    self._step = step

  def should_stop(self, step):
    if step == self._step:
      raise KeyboardInterrupt
    return super().should_stop(step)


def stopped(config, workdir, step, number=signal.SIGTERM):
  """What a run raises that is stopped at a step."""
  with pytest.raises(stops.Stopped) as caught:
    loop.train(config, workdir, signals=StopAt(step, number))
  return caught.value


def killed(config, workdir, step):
  with pytest.raises(KeyboardInterrupt):
    loop.train(config, workdir, signals=KillAt(step))


@registry.register("event", "poison")
def poison(model, batch):
  """The next loss is not finite."""
  del batch
  model.head.bias[...] = model.head.bias[...] * float("nan")
