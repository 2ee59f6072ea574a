"""Evaluation of a stored checkpoint."""

from etils import epath

from bnnjax import tasks
from bnnjax.train import inputs, setup, step
from bnnjax.train import workdir as workdir_lib


def evaluate(workdir: epath.PathLike, kind: str = "last") -> dict[str, float]:
  """Evaluates the deployed network of a finished or running run.

  Args:
    workdir: of the run.
    kind: `"last"` or `"best"` checkpoint.
  """
  config = workdir_lib.read_config(workdir)
  network, state, _ = setup.restore(config, workdir, kind)
  task = tasks.build(config.task)
  eval_step = step.make_eval_step(network, task)
  _, source = inputs.load_data(config)
  metrics = task.eval_metrics.empty()
  for batch in inputs.make_eval_batches(config, source):
    metrics = eval_step(state, metrics, batch)
  return {k: float(v) for k, v in metrics.compute().items()}
