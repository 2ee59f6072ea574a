"""Collections that keep the metrics of their bases; top 5."""

import flax
import jax.numpy as jnp
import numpy as np
import pytest
from clu import metrics

from bnnjax.tasks.metrics import (
  ClassMetrics,
  TrainLoss,
  in_top,
  masked_means,
  names_of,
)


def test_metrics_keep_those_of_their_base():
  @flax.struct.dataclass
  class More(TrainLoss):
    depth: metrics.Average.from_output("depth")

  names = ("loss", "grad_norm", "flip_ratio", "depth")
  assert names_of(More) == names
  values = {name: jnp.full(2, i) for i, name in enumerate(names)}
  got = More.empty().merge(More.single_from_model_output(**values)).compute()
  assert got == dict(zip(names, range(4)))


def test_in_top_of_equal_scores_takes_the_first_classes():
  logits = jnp.zeros((7, 7))
  got = in_top(logits, jnp.arange(7))["in_top"]
  np.testing.assert_array_equal(got, [1, 1, 1, 1, 1, 0, 0])


def test_in_top_means_nothing_of_five_classes():
  assert in_top(jnp.zeros((2, 5)), jnp.zeros(2, int)) == {}


@pytest.mark.parametrize(
  ("mask", "loss", "correct"), [([1, 0, 1], 2.0, 0.5), ([0, 0, 0], 0.0, 0.0)]
)
def test_means_over_a_mask(mask, loss, correct):
  given = jnp.array([1.0, 9.0, 3.0]), jnp.array([True, True, False])
  total, outputs = masked_means(*given, jnp.array(mask))
  assert total == loss
  assert outputs == {"loss": loss, "correct": correct, "weight": sum(mask)}


@pytest.mark.parametrize("given", [True, False])
def test_top5_is_told_if_it_was_measured(given):
  outputs = {"loss": jnp.ones(2), "correct": jnp.array([True, False])}
  if given:
    outputs["in_top"] = jnp.array([True, True])
  mask = jnp.array([1.0, 0.0])
  got = ClassMetrics.single_from_model_output(**outputs, mask=mask).compute()
  assert got == {"loss": 1, "accuracy": 1} | ({"top5": 1} if given else {})
