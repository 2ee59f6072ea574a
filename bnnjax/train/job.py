"""A run before any file is written: its config, checked, with its data."""

from ml_collections import ConfigDict

from bnnjax import data, models
from bnnjax.errors import UserError
from bnnjax.train import accumulate, config_check, datasets, runs, sharding
from bnnjax.train.plan import Plan


class Job:
  """A plan with its data: all that a run needs to begin.

  Attributes:
    config: resolved.
    task, teacher, teacher_state: what is learned, and from whom.
    sharded, replicated: how a batch is split over the devices, and how an array
      is replicated.
    train_source, eval_source, eval_batches: the data.
    steps_per_epoch, steps, epochs: the length.
    stages, events: what happens when; `events` are `[(step, name), ...]`.
    report: cost of the deployed network for one example.

  Args:
    config: see `bnnjax.config.base`.

  Raises:
    UserError: anything that is wrong with config or data.
  """

  def __init__(self, config: ConfigDict):
    plan = Plan(config)
    self.config = config = plan.config
    self.task = task = plan.task
    self.sharded, self.replicated = sharding.batch_shardings(
      config.mesh, config.data, [s.optim["accumulate"] for s in plan.settings]
    )
    self.train_source, self.eval_source = datasets.load_data(config, task)
    self.eval_batches = datasets.make_eval_batches(config, self.eval_source)
    self.steps_per_epoch = data.steps_per_epoch(
      self.train_source, config.data.batch_size
    )
    self.steps = config.steps or round(config.epochs * self.steps_per_epoch)
    if self.steps < 1 and (config.epochs or not config.init):
      raise UserError(
        "The run has no step: raise `epochs` or `steps`. (Only what `init` gives"
        " can be measured untrained, with `epochs` 0.)"
      )
    self.epochs = self.steps / self.steps_per_epoch
    self.stages = plan.stages(self.steps)
    for stage in self.stages:
      accumulate.check(task, stage.accumulate)
    plan.check_used()
    required = [
      (s.start, models.required_events(s.network.abstract)) for s in self.stages
    ]
    self.events = config_check.check_times(config, self.steps, required)
    self.teacher, self.teacher_state = None, None
    if task.teacher:
      vocabulary = self.train_source.vocabulary()
      self.teacher, self.teacher_state = runs.load_teacher(plan, vocabulary)
    self.report = plan.report()
