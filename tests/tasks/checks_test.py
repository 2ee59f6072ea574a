"""What a task must be and return: errors that name the fault."""

import jax.numpy as jnp
import numpy as np
import pytest

from bnnjax.errors import UserError
from bnnjax.tasks import checks
from bnnjax.tasks.base import Task
from bnnjax.tasks.metrics import EvalMetrics, TrainLoss


class Toy(Task):
  def loss(self, model, batch, mode, teacher=None):
    return jnp.zeros(()), {"loss": jnp.zeros(3)}


class Bare:
  """A task of before there was a base class."""

  forward, takes, reads, causal = "__call__", "num_classes", (), False
  train_metrics = eval_metrics = TrainLoss
  headline, highest_is_best = "loss", False
  teacher = ""


class NoHeadline(Toy):
  headline = "accuracy"


class NoLoss(Task):
  def los(self, model, batch, mode, teacher=None):
    return jnp.zeros(()), {}


class NoNorm(Toy):
  train_metrics = EvalMetrics


class Gathers(Toy):
  """Its headline comes from `reduce`, whose names are known at the end."""

  gathered, headline = ("query",), "recall"


@pytest.mark.parametrize(
  ("task", "message"),
  [
    (Bare, r"'mine' must be a subclass of `bnnjax.tasks.base.Task`.*\.Bare"),
    (
      NoLoss,
      r"Task 'mine' \(NoLoss\) has no `loss`: .* which returns a scalar",
    ),
    (NoHeadline, r"`headline` of task 'mine' .* \(loss\): got 'accuracy'"),
    (NoNorm, r"`train_metrics` of task 'mine' lacks flip_ratio, grad_norm"),
  ],
)
def test_what_is_no_task_is_refused(task, message):
  with pytest.raises(UserError, match=message):
    checks.check_task("mine", task())


@pytest.mark.parametrize("task", [Toy, Gathers])
def test_a_task_passes(task):
  checks.check_task("mine", task())


@pytest.mark.parametrize(
  ("found", "message"),
  [
    (jnp.zeros(()), r"got float32 \[\]"),
    (None, "got NoneType"),
    ((jnp.zeros(()), {}, {}), "got tuple of 3"),
    ((jnp.zeros(3), {"loss": jnp.zeros(3)}), r"float32 \[3\] as the scalar"),
    ((jnp.zeros((), int), {"loss": jnp.zeros(3)}), r"int32 \[\] as the scalar"),
    ((jnp.zeros(()), jnp.zeros(3)), r"got float32 \[3\] as the dict"),
    ((jnp.zeros(()), {"los": jnp.zeros(3)}), "got the outputs los"),
    ((jnp.zeros(()), {}), r"got the outputs \(none\)"),
  ],
)
def test_a_loss_returns_a_scalar_and_a_dict(found, message):
  want = "`loss` of Toy must return a scalar, and a dict of outputs with `loss`"
  with pytest.raises(UserError, match=f"{want} among them: .*{message}\\."):
    checks.checked_loss(Toy(), found)


def test_a_right_loss_passes_as_it_is():
  outputs = {"loss": jnp.ones(3), "weight": jnp.ones(())}
  scalar, got = checks.checked_loss(Toy(), [jnp.ones(()), outputs])
  assert scalar == 1
  assert got == outputs


@pytest.mark.parametrize(
  ("found", "message"),
  [
    (None, "NoneType"),
    ({"recall": None}, "NoneType for 'recall'"),
    ({"recall": "high"}, "'high' for 'recall'"),
    ({"recall": np.zeros(2)}, r"float64 \[2\] for 'recall'"),
    ({1: 0.5}, "the name 1"),
  ],
)
def test_reduced_are_numbers(found, message):
  want = r"`reduce` of Toy must return a dict of numbers.*: got "
  with pytest.raises(UserError, match=f"{want}{message}\\."):
    checks.checked_reduced(Toy(), found)
  numbers = {"a": 1, "b": np.float32(2), "c": jnp.bfloat16(3), "d": True}
  assert checks.checked_reduced(Toy(), numbers) == dict(
    zip("abcd", (1, 2, 3, 1))
  )


BATCH = {"mask": jnp.array([1.0, 1.0, 0.0])}


@pytest.mark.parametrize("shape", [(3,), (3, 2)])
def test_rows_that_fill_up_are_masked_whatever_the_task_masks(shape):
  outputs = {"loss": jnp.ones(shape), "mask": jnp.ones(shape).at[0].set(0)}
  got = checks.checked_outputs(Toy(), outputs, BATCH)["mask"]
  want = np.zeros(shape)
  want[1] = 1
  np.testing.assert_array_equal(got, want)


def test_the_mask_is_the_batchs_where_the_task_has_none():
  got = checks.checked_outputs(Toy(), {"loss": jnp.ones(3)}, BATCH)
  np.testing.assert_array_equal(got["mask"], BATCH["mask"])


@pytest.mark.parametrize(
  ("task", "outputs", "error", "message"),
  [
    (Toy, jnp.zeros(3), UserError, r"`evaluate` of Toy .* got float32 \[3\]"),
    (
      Toy,
      {"loss": jnp.zeros(())},
      TypeError,
      r"each of the 3 .*'loss' of shape \(\)",
    ),
    (Gathers, {"loss": jnp.zeros(3)}, TypeError, "names 'query', .* got loss"),
  ],
)
def test_what_is_evaluated_is_a_row_for_each_example(
  task, outputs, error, message
):
  with pytest.raises(error, match=message):
    checks.checked_outputs(task(), outputs, BATCH)
