"""Metrics of tasks that choose one of several answers."""

import flax
from clu import metrics


@flax.struct.dataclass
class EvalMetrics(metrics.Collection):
  """Means over what is answered: examples, or hidden tokens."""

  loss: metrics.Average.from_output("loss")
  accuracy: metrics.Average.from_output("correct")


@flax.struct.dataclass
class TrainMetrics(metrics.Collection):
  """Means over the examples (or, of means, the steps) of an interval."""

  loss: metrics.Average.from_output("loss")
  accuracy: metrics.Average.from_output("correct")
  grad_norm: metrics.Average.from_output("grad_norm")
  flip_ratio: metrics.Average.from_output("flip_ratio")
