"""Evaluation of the deployed network: of a stored run, of batches by hand."""

import flax
import numpy as np
import pytest
from clu import metrics

from bnnjax.errors import UserError
from bnnjax.tasks import base
from bnnjax.tasks import metrics as task_metrics
from bnnjax.train import evaluate, sharding
from tests.train.small_runs import tiny


def test_evaluate_reads_the_checkpoint(finished):
  workdir, result = finished
  got = evaluate.evaluate(workdir)
  np.testing.assert_allclose(got["loss"], result.metrics["loss"], rtol=1e-5)
  assert got["accuracy"] == result.metrics["accuracy"]


@flax.struct.dataclass
class Means(task_metrics.Collection):
  mean: metrics.Average.from_output("x")


class Halves(base.Task):
  """Mean of `x`, and by a final reducer its largest value."""

  headline = "mean"
  eval_metrics = Means
  gathered = ("x",)

  def reduce(self, gathered):
    return {"largest": gathered["x"].max()}


def test_padded_rows_count_nothing():
  config = tiny()
  split, whole = sharding.batch_shardings(config.mesh, config.data)
  batches = [
    {"x": np.array([1.0, 3.0], np.float32), "mask": np.array([1.0, 1.0])},
    {"x": np.array([5.0, 99.0], np.float32), "mask": np.array([1.0, 0.0])},
  ]

  def step(state, total, batch):
    del state
    one = Means.single_from_model_output(x=batch["x"], mask=batch["mask"])
    return total.merge(one), {"x": batch["x"]}, batch["mask"]

  task = Halves()
  got = evaluate.measure(step, task, {}, batches, split, whole)
  assert got == {"mean": 3.0, "largest": 5.0}
  task.headline = "median"
  with pytest.raises(UserError, match=r"metric .*\(mean, largest\).*'median'"):
    evaluate.measure(step, task, {}, batches, split, whole)
