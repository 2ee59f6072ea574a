"""Functions of the previous version whose arguments have changed.

`bnnjax.deprecated` finds them under their old names, for one version.
"""

from typing import Any

from ml_collections import ConfigDict

from bnnjax import tasks
from bnnjax.train import data_facts, datasets, runs, sharding
from bnnjax.train.networks import Network
from bnnjax.train.plan import Plan
from bnnjax.train.stages import Stage


def plan(config: Any, steps: int) -> list[Stage]:
  """Now `Plan(config).stages(steps)`."""
  return Plan(config).stages(steps)


def network_of(config: Any, overrides: Any = ()) -> Network:
  """Now an entry of `Plan(config).networks`."""
  model = {**config["model"], **dict(overrides)}
  return Plan({**config.to_dict(), "model": model, "stages": ()}).networks[0]


def check_used(config: Any, networks: Any = ()) -> list[Network]:
  """Now `Plan(config).check_used()`."""
  del networks
  made = Plan(config)
  made.check_used()
  return made.networks


def cost_of(config: Any, network: Any = None) -> Any:
  """Now `Plan(config).report()`."""
  del network
  return Plan(config).report()


def load_teacher(
  config: Any, task: Any, stages: Any = (), vocabulary: str = ""
) -> tuple[Network, Any]:
  """Now `runs.load_teacher(Plan(config))`."""
  del task, stages
  return runs.load_teacher(Plan(config), vocabulary)


def shardings(config: Any) -> Any:
  """Now `sharding.batch_shardings`."""
  parts = [stage.optim["accumulate"] for stage in Plan(config).settings]
  return sharding.batch_shardings(config.mesh, config.data, parts)


def load_data(config: Any) -> Any:
  """Now `datasets.load_data(config, task)`, which fills `config` in."""
  config = ConfigDict(config)
  return datasets.load_data(config, tasks.build(config.task))


def ask(config: Any) -> None:
  """Now `data_facts.ask(config.data, task)`."""
  data_facts.ask(config.data, tasks.build(config.task))
