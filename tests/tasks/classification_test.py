import jax
import jax.numpy as jnp
import numpy as np
import pytest

from bnnjax import config as config_lib
from bnnjax import tasks
from bnnjax.core.progress import DEPLOYED, Mode, Progress
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


@pytest.mark.parametrize("weight", [None, 1.0])
def test_mixup_by_hand(weight):
  """Images and labels alike, the teacher too; another mixture each step."""
  distill = None if weight is None else {"teacher": "x", "weight": weight}
  task = Classification(mixup=0.4, label_smoothing=0.0, distill=distill)
  eye = {"image": 9 * jnp.eye(5), "label": jnp.array([0, 1, 2, 2, 4])}
  teacher = None if weight is None else (lambda image, mode: 2 * image)
  shares = []
  for number in range(3):
    mode = Mode.training(Progress.at(number, 10, 1.0))
    seen = []

    def model(image, mode, seen=seen):
      seen.append(image)
      return image

    _, outputs = task.loss(model, eye, mode, teacher)
    mixed = np.asarray(seen[0]) / 9  # rows: shares of the five images
    labels = mixed @ np.eye(5)[[0, 1, 2, 2, 4]]
    target = labels if weight is None else softmax(18 * mixed)
    want = -(target * np.log(softmax(9 * mixed))).sum(-1)
    np.testing.assert_allclose(outputs["loss"], want, rtol=1e-4)
    likeliest = labels[np.arange(5), mixed.argmax(-1)]
    np.testing.assert_allclose(outputs["correct"], likeliest, rtol=1e-5)
    np.testing.assert_allclose(mixed.sum(-1), 1, rtol=1e-6)
    np.testing.assert_allclose(mixed.sum(0), 1, rtol=1e-6)  # a permutation
    shares.append(mixed)
  assert np.abs(shares[0] - shares[1]).max() > 0.01
  assert max(np.abs(m - np.eye(5)).max() for m in shares) > 0.1


def test_only_training_mixes():
  got = Classification(mixup=1.0).loss(network, BATCH, DEPLOYED)
  want = Classification().loss(network, BATCH, DEPLOYED)
  jax.tree.map(np.testing.assert_array_equal, got, want)


def test_texts_are_not_mixed():
  config = config_lib.base()
  config.update(task={"name": "classification", "mixup": 1.0})
  config.data.update(name="fake_text", vocab=20, shape=(4,), num_classes=2)
  config.model.name = "bert"
  with pytest.raises(ValueError, match="`task.mixup` mixes images"):
    config_lib.resolve(config)


def test_metrics_leave_out_what_is_masked():
  task = Classification()
  outputs = task.evaluate(network, BATCH)
  metrics = task.eval_metrics.single_from_model_output(**outputs).compute()
  np.testing.assert_allclose(metrics["accuracy"], 0.5)


@pytest.mark.parametrize("classes", [2, 5, 6, 9])
def test_top5_counts_what_stands_before_the_label(classes):
  """Ties and NaN as `argmax` has them: NaN above all, the first of equals."""
  rng = np.random.default_rng(0)
  task, want = Classification(), []
  metrics = task.eval_metrics.empty()
  for fill in (0.0, np.inf, -np.inf, np.nan):
    logits = rng.integers(0, 4, (16, classes)).astype(np.float32)
    logits[rng.random(logits.shape) < 0.2] = fill
    label, mask = rng.integers(0, classes, 16), rng.random(16) < 0.7
    order = np.argsort(
      np.where(np.isnan(logits), -np.inf, -logits), kind="stable"
    )
    assert (order[:, 0] == np.argmax(logits, -1)).all()
    want += [y in row[:5] for y, row in zip(label[mask], order[mask])]
    outputs = task.evaluate(
      network, {"image": jnp.asarray(logits), "label": label, "mask": mask}
    )
    metrics = metrics.merge(
      task.eval_metrics.single_from_model_output(**outputs)
    )
  got = metrics.compute()
  assert list(got) == ["loss", "accuracy", "top5"][: 3 if classes > 5 else 2]
  if classes > 5:
    np.testing.assert_allclose(got["top5"], np.mean(want), rtol=1e-6)
    assert got["accuracy"] < got["top5"] < 1


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
    ({"mixup": -1.0}, "`mixup` must be 0 or above, got -1.0"),
    ({"smoothing": 0.1}, "Did you mean 'label_smoothing'"),
  ],
)
def test_errors(kw, message):
  with pytest.raises(ValueError, match=message):
    tasks.build({"name": "classification", **kw})


def test_unknown_task():
  with pytest.raises(ValueError, match="Did you mean 'classification'"):
    tasks.build({"name": "clasification"})
