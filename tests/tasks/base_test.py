"""Tasks written outside the package: all that runs a task asks it."""

import inspect
import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from bnnjax import cli, data
from bnnjax import config as config_lib
from bnnjax.core import registry
from bnnjax.core.progress import DEPLOYED, Mode
from bnnjax.errors import UserError
from bnnjax.layers import intermediates
from bnnjax.layers.linear import Linear
from bnnjax.tasks import base
from bnnjax.tasks.base import Task
from bnnjax.tasks.classification import Classification
from bnnjax.train import accumulate, evaluate, loop, networks, runs, step
from bnnjax.train.job import Job
from bnnjax.train.plan import Plan
from tests.train.small_runs import killed


class Denoiser(nnx.Module):
  def __init__(self, *, image_shape, weight="ste|channel_l1", rngs):
    size = int(np.prod(image_shape))
    self.inside = Linear(size + 1, 8, rngs=rngs)
    self.hidden = Linear(8, 8, weight=weight, act="ste", rngs=rngs)
    self.out = Linear(8, size, rngs=rngs)

  def __call__(self, x, t, mode=None):
    flat = jnp.concatenate([x.reshape(len(x), -1), t[:, None]], 1)
    y = self.hidden(self.inside(flat, mode), mode)
    return self.out(y, mode).reshape(x.shape)


class Diffusion(Task):
  def inputs(self, batch):
    return batch["image"], jnp.zeros(len(batch["image"]))

  def loss(self, model, batch, mode, teacher=None):
    x, (a, b) = (
      batch["image"],
      jax.random.split(mode.fold_in(jax.random.key(0))),
    )
    t, noise = jax.random.uniform(a, x.shape[:1]), jax.random.normal(b, x.shape)
    s = t[:, None, None, None]
    noisy = jnp.cos(s) * x + jnp.sin(s) * noise
    error = self.forward(model, noisy, t, mode=mode) - noise
    loss = jnp.mean(error**2, (1, 2, 3))
    return jnp.mean(loss), {"loss": loss}


class Towers(nnx.Module):
  def __init__(self, *, image_shape, rngs):
    self.query = Linear(int(np.prod(image_shape)), 3, rngs=rngs)
    self.document = Linear(5, 3, rngs=rngs)

  def __call__(self, image, document, mode=None):
    query = self.query(image.reshape(len(image), -1), mode)
    return query, self.document(document, mode)


class Retrieval(Task):
  gathered = ("query", "document")
  headline, highest_is_best = "recall_at_3", True

  def example(self, info):
    document = jax.ShapeDtypeStruct((1, 5), np.float32)
    return {**super().example(info), "document": document}

  def inputs(self, batch):
    return batch["image"], batch["document"]

  def loss(self, model, batch, mode, teacher=None):
    query, document = self.forward(model, *self.inputs(batch), mode=mode)
    loss = jnp.sum((query - document) ** 2, -1)
    return jnp.mean(loss), {"loss": loss}

  def evaluate(self, model, batch):
    query, document = self.forward(model, *self.inputs(batch))
    loss = jnp.sum((query - document) ** 2, -1)
    return {"loss": loss, "query": query, "document": document}

  def reduce(self, gathered):
    return {"recall_at_3": recall(**gathered), "corpus": len(gathered["query"])}


def recall(query, document):
  """Share of the queries whose own document is among the three nearest."""
  scores = query @ document.T
  return np.mean(np.sum(scores > np.diag(scores)[:, None], -1) < 3)


class Pairs(data.Source):
  """Images with a document each; 22 of them leave a batch of 16 padded."""

  info = data.DatasetInfo("pairs", (2, 2, 1), 0, (0.5,), (0.25,))

  def __init__(self, split):
    rng = np.random.default_rng(len(split))
    self.image = rng.integers(0, 256, (22, 2, 2, 1)).astype(np.uint8)
    self.document = rng.normal(size=(22, 5)).astype(np.float32)

  def __len__(self):
    return 22

  def __getitem__(self, index):
    return {"image": self.image[index], "document": self.document[index]}


@pytest.fixture(scope="module", autouse=True)
def _outside():
  with registry.restored():
    for kind, name, thing in (
      ("model", "denoiser", Denoiser),
      ("model", "towers", Towers),
      ("task", "diffusion", Diffusion),
      ("task", "retrieval", Retrieval),
      ("source", "pairs", Pairs),
    ):
      registry.register(kind, name)(thing)
    yield


def diffusion():
  config = config_lib.base()
  config.data.update(shape=(4, 4, 1), num_classes=2)
  config_lib.make_smoke(config)
  config.steps, config.data.augment = 6, ()
  config.optim.ema = 0.5
  config.data.options.size = 60  # the last batch of evaluation is padded
  config.model = {"name": "denoiser"}
  config.task = {"name": "diffusion"}
  return config


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
  workdir = tmp_path_factory.mktemp("finished") / "run"
  return workdir, loop.train(diffusion(), workdir)


def train_losses(workdir):
  lines = (workdir / "metrics.jsonl").read_text().splitlines()
  return [x["train_loss"] for x in map(json.loads, lines) if "train_loss" in x]


def test_toy_diffusion_is_short_and_counted(finished):
  code = "".join(map(inspect.getsource, (Denoiser, Diffusion)))
  assert len([x for x in code.splitlines() if x.strip()]) <= 25
  _, result = finished
  # Two float layers, a binary one.
  assert result.report.macs[1, 1] == 8 * 8
  assert result.report.total_macs == 17 * 8 + 8 * 8 + 8 * 16
  assert list(result.metrics) == ["loss"]


def test_a_loss_that_draws_resumes_to_the_bit(finished, tmp_path):
  workdir, whole = finished
  killed(diffusion(), tmp_path / "run", 6)
  assert loop.train(diffusion(), tmp_path / "run").metrics == whole.metrics
  losses = train_losses(workdir)
  assert len(losses) == 2
  assert train_losses(tmp_path / "run") == losses


def test_samples_go_to_a_file(finished, monkeypatch, capsys):
  command = ["sample", f"--workdir={finished[0]}"]
  assert cli.main(command) == cli.USER
  assert "task 'diffusion', which has no samples" in said(capsys)

  def samples(self, model, info, *, key, number):
    x = jax.random.normal(key, (number, *info.shape))
    return self.forward(model, x, jnp.ones(number))

  monkeypatch.setattr(Diffusion, "samples", samples)
  assert cli.main([*command, "--prompt=a"]) == cli.USER
  assert "--prompt is for texts" in said(capsys)
  assert cli.main([*command, "--batch=3", "--seed=1"]) == 0
  assert capsys.readouterr().out.endswith("float32 [3, 4, 4, 1]\n")
  assert np.load(finished[0] / "samples.npy").std() > 0


def said(capsys):
  return " ".join(capsys.readouterr().err.split())


def retrieval():
  config = config_lib.base()
  config.data.update(
    name="pairs", shape=(2, 2, 1), batch_size=16, eval_batch_size=16
  )
  config.steps, config.optim.lr = 2, 0.1
  config.model = {"name": "towers"}
  config.task = {"name": "retrieval"}
  return config


def test_recall_is_over_the_corpus(tmp_path):
  got = loop.train(retrieval(), tmp_path / "run").metrics
  assert got["corpus"] == 22
  config = config_lib.resolve(retrieval())
  _, state, _ = runs.restore(config, tmp_path / "run", "last")
  split = Pairs("test")
  image = (split.image.reshape(22, -1) / 255 - 0.5) / 0.25

  def linear(x, layer):
    layer = state["params"][layer]
    return x @ np.asarray(layer["kernel"]) + np.asarray(layer["bias"])

  query, document = linear(image, "query"), linear(split.document, "document")
  assert got["recall_at_3"] == recall(query, document)
  # A mean over the batches, whose last one is padded, is another number.
  assert got["recall_at_3"] != np.mean(
    [recall(query[s], document[s]) for s in (slice(16), slice(16, None))]
  )
  loss = np.mean(np.sum((query - document) ** 2, -1))
  np.testing.assert_allclose(got["loss"], loss, rtol=1e-5)
  assert evaluate.evaluate(tmp_path / "run") == got


def test_what_is_no_task_is_refused(monkeypatch):
  monkeypatch.setitem(registry.registered_table("task"), "mine", nnx.Module)
  config = diffusion()
  config.task = {"name": "mine"}
  with pytest.raises(
    ValueError, match="'mine' must be a subclass of `bnnjax.t"
  ):
    config_lib.resolve(config)


def test_examples_must_hold_what_the_task_reads(monkeypatch):
  config = diffusion()
  config.task, config.model = {"name": "retrieval"}, {"name": "towers"}
  with pytest.raises(ValueError, match="reads document of an example, which"):
    Job(config)

  class Wide(Retrieval):
    def example(self, info):
      document = jax.ShapeDtypeStruct((1, 6), np.int32)
      return {**super().example(info), "document": document}

  monkeypatch.setitem(registry.registered_table("task"), "retrieval", Wide)
  with pytest.raises(
    ValueError,
    match=r"'document' .* int32 \(6,\): 'pairs' gives float32 \(5,\)",
  ):
    Job(retrieval())


def test_a_task_decides_arguments_of_the_model(monkeypatch):
  class Float(Diffusion):
    needs = ("weight",)

    def model_arguments(self, info, settings):
      return {**super().model_arguments(info, settings), "weight": None}

  monkeypatch.setitem(registry.registered_table("task"), "diffusion", Float)
  config = config_lib.resolve(diffusion())
  assert (1, 1) not in Plan(config).report().macs
  config = diffusion()
  config.model.weight = "ste"
  with pytest.raises(ValueError, match="`model.weight` is decided by the task"):
    _ = Plan(config).networks
  config.model = {"name": "towers"}
  with pytest.raises(ValueError, match="needs a model with the argument `weig"):
    config_lib.resolve(config)


def evaluated(task):
  """Traces a step of evaluation of three examples."""
  model = Denoiser(image_shape=(4, 4, 1), rngs=nnx.Rngs(0))
  network = networks.Network.of(
    lambda rngs: Denoiser(image_shape=(4, 4, 1), rngs=rngs)
  )
  _, params, rest = nnx.split(model, nnx.Param, ...)
  state = {"params": nnx.to_pure_dict(params), "rest": nnx.to_pure_dict(rest)}
  batch = {"image": jnp.zeros((3, 4, 4, 1)), "mask": jnp.ones(3)}
  made = step.make_eval_step(network, task)
  return jax.eval_shape(made, state, task.eval_metrics.empty(), batch)


def test_an_evaluation_that_fails_loses_no_training(monkeypatch, tmp_path):
  def evaluate(self, model, batch):
    raise ZeroDivisionError("a fault of mine")

  monkeypatch.setattr(Diffusion, "evaluate", evaluate)
  with pytest.raises(ZeroDivisionError, match="mine"):
    loop.train(diffusion(), tmp_path)
  monkeypatch.undo()
  result = loop.train(diffusion(), tmp_path)
  assert train_losses(tmp_path)
  assert result.metrics["loss"] > 0


def test_a_mean_of_a_padded_batch_is_refused():
  class Mean(Diffusion):
    def evaluate(self, model, batch):
      return {"loss": jnp.mean(self.loss(model, batch, DEPLOYED)[1]["loss"])}

  with pytest.raises(TypeError, match=r"each of the 3 .*'loss' of shape \(\)"):
    evaluated(Mean())


def test_a_reduced_metric_has_a_name_of_its_own():
  class Twice(Diffusion):
    gathered = ("loss",)

    def reduce(self, gathered):
      return {"loss": 0.0}

  mesh = jax.sharding.SingleDeviceSharding(jax.devices()[0])
  outputs = {"loss": jnp.zeros(3)}

  def eval_step(state, metrics, batch):
    return metrics, outputs, jnp.ones(3)

  with pytest.raises(ValueError, match="`reduce` of Twice returns loss, which"):
    evaluate.measure(eval_step, Twice(), {}, [{}], mesh, mesh)


def test_a_loss_returns_a_scalar_and_a_dict():
  class Odd(Diffusion):
    def loss(self, model, batch, mode, teacher=None):
      return jnp.zeros(())

  network = networks.Network.of(lambda rngs: Sum(1.0))
  gradient = accumulate.make_gradient(network, Odd())
  with pytest.raises(
    UserError, match=r"`loss` of Odd must .* got float32 \[\]"
  ):
    gradient({"weight": jnp.ones(())}, {}, {}, Mode.training(), None)


class Sum(nnx.Module):
  def __init__(self, weight):
    self.weight = nnx.Param(jnp.array(weight))

  def two(self, a, b, mode=None):
    x = self.weight * a + b
    intermediates.sow(self, mode, hidden_states=x[:, None])
    return x


class OfTwo(Classification):
  def inputs(self, batch):
    return batch["image"], batch["other"]

  def forward(self, model, a, b, *, mode=DEPLOYED):
    return model.two(a, b, mode)


def test_a_teacher_reads_all_inputs():
  matched = {"match": {"hidden_states": ("mse", 0.5)}, "logit_weight": 0.0}
  task = OfTwo(distill={"teacher": "x", "label_weight": 1.0, **matched})
  image, other = np.array([[1.0, 2.0], [4.0, 0.0]]), np.array([[0.0, 3.0]] * 2)
  batch = {"image": image, "other": other, "label": np.array([1, 0])}
  student, teacher = Sum(3.0), Sum(1.0)
  task.check_teacher(student, teacher, *task.inputs(batch))
  loss, outputs = task.loss(student, batch, Mode.training(), teacher)
  x = 3 * image + other
  cross = np.log(np.exp(x).sum(-1)) - x[[0, 1], [1, 0]]
  distance = 0.5 * np.mean((2 * image) ** 2)
  np.testing.assert_allclose(outputs["loss"], cross + distance, rtol=1e-6)
  np.testing.assert_allclose(loss, np.mean(cross + distance), rtol=1e-6)


def test_inputs_are_a_tuple():
  class One(Diffusion):
    def inputs(self, batch):
      return batch["image"]

  with pytest.raises(TypeError, match="`inputs` of One must return a tuple"):
    base.input_shapes(One(), data.DatasetInfo("x", (4, 4, 1), 2))
