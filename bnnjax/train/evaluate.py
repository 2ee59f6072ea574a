"""Evaluation of a stored checkpoint."""

from etils import epath

from bnnjax import tasks
from bnnjax.errors import UserError
from bnnjax.train import differences, identity, inputs, setup, step
from bnnjax.train import workdir as workdir_lib


def evaluate(workdir: epath.PathLike, kind: str = "last") -> dict[str, float]:
  """Evaluates the deployed network of a finished or running run.

  Args:
    workdir: of the run.
    kind: `"last"` or `"best"` checkpoint.

  Raises:
    UserError: no such checkpoint, it is damaged, or the data have changed.
  """
  config = workdir_lib.read_config(workdir)
  network, state, info = setup.restore(config, workdir, kind)
  task = tasks.build(config.task)
  eval_step = step.make_eval_step(network, task)
  train_source, source = inputs.load_data(config)
  theirs = info.get("identity", {}).get("data")
  if theirs:
    ours = identity.of_data(train_source, source)
    changed = differences.difference({"data": theirs}, {"data": ours})
    if changed:
      raise UserError(f"{workdir} cannot be evaluated: {changed}.")
  metrics = task.eval_metrics.empty()
  for batch in inputs.make_eval_batches(config, source):
    metrics = eval_step(state, metrics, batch)
  return {k: float(v) for k, v in metrics.compute().items()}
