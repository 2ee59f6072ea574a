"""What a config decides without its data: task, networks, stages, cost."""

import functools
from collections.abc import Mapping
from typing import Any

from ml_collections import ConfigDict

from bnnjax import cost, tasks
from bnnjax.data.sources import DatasetInfo
from bnnjax.tasks import base
from bnnjax.train import config as config_lib
from bnnjax.train import networks as networks_lib
from bnnjax.train import stages as stages_lib
from bnnjax.train.networks import Network
from bnnjax.train.stages import Stage


class Plan:
  """The task, the networks and the optimizers of a config.

  Attributes:
    config: resolved.
    settings: of the stages.
    task: what is learned.

  Args:
    config: as a config file returns it, or resolved.

  Raises:
    ValueError: see `bnnjax.train.config.resolve`.

  Example:
    >>> Plan(config_file.read_unresolved("configs/plays_lm.py")).report().ace
  """

  def __init__(self, config: ConfigDict | Mapping[str, Any]):
    self.config = config_lib.resolve(config)
    self.settings = config_lib.stages_of(self.config)
    self.task = tasks.build(self.config.task)

  @property
  def info(self) -> DatasetInfo:
    """What the config says of its data."""
    return config_lib.info_of(self.config)

  @functools.cached_property
  def arguments(self) -> dict[str, Any]:
    """The arguments of all models that task and data decide."""
    model = self.config.model.to_dict()
    return networks_lib.arguments_of(model, self.task, self.info)

  @functools.cached_property
  def networks(self) -> list[Network]:
    """The network of each stage, built when first asked for.

    Raises:
      ValueError: unknown model or argument, an impossible value, or a model of
        images for text, or the other way round.
    """
    made = self.arguments
    return [
      networks_lib.make_network(stage.model, made) for stage in self.settings
    ]

  def stages(self, steps: int) -> list[Stage]:
    """The stages of a run of that many steps, see `stages.make`."""
    return stages_lib.make(self.settings, self.networks, steps)

  def check_used(self) -> None:
    """Warns or raises if a setting has no effect, see `networks.check_settings_used`."""
    networks_lib.check_settings_used(
      self.networks, self.settings, self.arguments
    )

  def input_shapes(self) -> tuple[Any, ...]:
    """Shapes of what the task calls a model with, for one example."""
    return base.input_shapes(self.task, self.info)

  def report(self) -> cost.Report:
    """Cost of the deployed network for one example; needs no data.

    Counts what the task calls the model with, see `Task.inputs` and
    `Task.forward`.
    """
    model = self.networks[-1].abstract

    def forward(model, *inputs):
      return self.task.forward(model, *inputs)

    forward.__qualname__ = type(model).__name__  # in tables and messages
    return cost.count(forward, model, *self.input_shapes())
