import jax
import jax.numpy as jnp
import numpy as np
import pytest

from bnnjax import tasks
from bnnjax.core.progress import DEPLOYED
from bnnjax.tasks.classification import Classification

BATCH = {
  "image": jnp.array([[2.0, 0.0, -1.0], [0.0, 1.0, 0.0], [0.0, 0.0, 3.0]]),
  "label": jnp.array([0, 2, 2]),
  "mask": jnp.array([1.0, 1.0, 0.0]),
}


def network(image, mode):
  """Its input is its logits."""
  return image


def softmax(x):
  e = np.exp(x - x.max(-1, keepdims=True))
  return e / e.sum(-1, keepdims=True)


def test_loss_by_hand():
  loss, outputs = Classification(label_smoothing=0.3).loss(
    network, BATCH, DEPLOYED
  )
  p = softmax(np.asarray(BATCH["image"]))
  target = 0.7 * np.eye(3)[[0, 2, 2]] + 0.1
  np.testing.assert_allclose(
    outputs["loss"], -(target * np.log(p)).sum(-1), rtol=1e-5
  )
  np.testing.assert_allclose(loss, np.mean(outputs["loss"]), rtol=1e-6)
  np.testing.assert_array_equal(outputs["correct"], [True, False, True])


@pytest.mark.parametrize("weight", [0.25, 1.0])
@pytest.mark.parametrize("temperature", [1.0, 2.0])
def test_distillation_by_hand(weight, temperature):
  task = Classification(
    distill={"teacher": "x", "weight": weight, "temperature": temperature}
  )
  teacher = lambda image, mode: image[:, ::-1]  # noqa: E731
  _, outputs = task.loss(network, BATCH, DEPLOYED, teacher)
  logits, t = np.asarray(BATCH["image"]), temperature
  hard = -np.log(softmax(logits))[np.arange(3), [0, 2, 2]]
  soft = -(softmax(logits[:, ::-1] / t) * np.log(softmax(logits / t))).sum(-1)
  want = (1 - weight) * hard + weight * t**2 * soft
  np.testing.assert_allclose(outputs["loss"], want, rtol=1e-5)


def test_teacher_gets_no_gradient():
  task = Classification(distill={"teacher": "x"})

  def loss(scale):
    teacher = lambda image, mode: scale * image  # noqa: E731
    return task.loss(network, BATCH, DEPLOYED, teacher)[0]

  assert jax.grad(loss)(1.0) == 0


def test_metrics_leave_out_what_is_masked():
  task = Classification()
  outputs = task.evaluate(network, BATCH)
  metrics = task.eval_metrics.single_from_model_output(**outputs).compute()
  np.testing.assert_allclose(metrics["accuracy"], 0.5)


@pytest.mark.parametrize(
  ("kw", "message"),
  [
    ({"label_smoothing": 1.0}, r"must be in \[0, 1\), got 1.0"),
    ({"distill": {"techer": "x"}}, "Did you mean 'teacher'"),
    ({"distill": "runs/t"}, "`distill` is a dict of settings.* got 'runs/t'"),
    ({"distill": {"weight": 0.5}}, "needs `teacher`"),
    (
      {"distill": {"teacher": "x", "weight": 2}},
      r"`distill.weight` must be in \[0, 1\]",
    ),
    (
      {"distill": {"teacher": "x"}, "label_smoothing": 0.1},
      "Nothing reads `label_smoothing` where no label is learned",
    ),
    ({"label_smoothing": "x"}, "`label_smoothing` must be 0 or above, got 'x'"),
    ({"smoothing": 0.1}, "Did you mean 'label_smoothing'"),
  ],
)
def test_errors(kw, message):
  with pytest.raises(ValueError, match=message):
    tasks.build({"name": "classification", **kw})


def test_unknown_task():
  with pytest.raises(ValueError, match="Did you mean 'classification'"):
    tasks.build({"name": "clasification"})
