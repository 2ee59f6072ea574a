"""Masked language modelling: what is hidden, the loss, learning."""

import functools
import types

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from flax import nnx

from bnnjax import config as config_lib
from bnnjax import tasks
from bnnjax.core.progress import Mode, Progress
from bnnjax.models.bert import BERT
from bnnjax.tasks.masked_lm import MaskedLM, mask_tokens
from bnnjax.train import loop

VOCAB, MASK, SPECIAL = 12, 4, [0, 2, 3]
SIZES = {"vocab": VOCAB, "max_len": 8, "features": 16, "blocks": 1, "heads": 2}


def texts(batch=16, seed=0):
  """[CLS], words, [SEP], padding."""
  rng = np.random.default_rng(seed)
  tokens = rng.integers(5, VOCAB, (batch, 8))
  tokens[:, 0], tokens[:, 5], tokens[:, 6:] = 2, 3, 0
  return {"tokens": jnp.asarray(tokens, jnp.int32), "mask": jnp.ones(batch)}


class Stub(nnx.Module):
  """Is always sure of entry 7."""

  word = types.SimpleNamespace(table=np.zeros((VOCAB, 1)))

  def token_logits(self, tokens, mode, *, mask):
    assert mask.shape == tokens.shape
    return jnp.full((*tokens.shape, VOCAB), -1.0).at[..., 7].set(1.0)


@functools.partial(jax.jit, static_argnames="share")
def loss_at(step, batch, share=0.15):
  return MaskedLM(share=share).loss(Stub(), batch, at(step))


def at(step):
  return Mode.training(Progress.at(step, 10, 1.0))


def test_shares_of_what_is_hidden():
  tokens = jnp.full((400, 500), 9).at[:, 0].set(2).at[:, 400:].set(0)
  x, chosen = mask_tokens(
    jax.random.key(0), tokens, vocab=1000, mask=MASK, keep=(2, 3)
  )
  np.testing.assert_array_equal(x[~chosen], tokens[~chosen])
  assert not chosen[:, 0].any()
  assert not chosen[:, 400:].any()
  np.testing.assert_allclose(chosen[:, 1:400].mean(), 0.15, atol=3e-3)
  hidden = np.asarray(x[chosen])
  np.testing.assert_allclose((hidden == MASK).mean(), 0.8, atol=0.01)
  np.testing.assert_allclose((hidden == 9).mean(), 0.1, atol=0.01)
  other = hidden[(hidden != MASK) & (hidden != 9)]
  assert other.min() >= 1
  assert other.max() == 999


def test_loss_by_hand():
  batch = texts(64)
  loss, outputs = loss_at(3, batch, share=0.5)
  key = jax.random.fold_in(jax.random.key(0), 3)
  _, chosen = mask_tokens(
    key, batch["tokens"], vocab=VOCAB, mask=MASK, keep=(2, 3), share=0.5
  )
  right = (np.asarray(batch["tokens"]) == 7)[np.asarray(chosen)]
  log_sum = np.log(np.exp(1) + (VOCAB - 1) * np.exp(-1))
  np.testing.assert_allclose(outputs["correct"], right.mean(), rtol=1e-5)
  want = log_sum - np.where(right, 1, -1).mean()
  np.testing.assert_allclose(loss, want, rtol=1e-5)


def test_step_decides_what_is_hidden():
  batch = texts()
  losses = [loss_at(n, batch)[0] for n in (3, 3, 4)]
  assert losses[0] == losses[1] != losses[2]


def test_evaluation_repeats_itself_and_leaves_out_what_is_filled_up():
  batch, task = texts(), MaskedLM()
  batch["mask"] = batch["mask"].at[8:].set(0)
  outputs = task.evaluate(Stub(), batch)
  assert not outputs["mask"][8:].any()
  assert outputs["mask"][:8].any()
  hidden = np.isin(batch["tokens"], SPECIAL)
  assert not outputs["mask"][hidden].any()
  metrics = task.eval_metrics.single_from_model_output(**outputs).compute()
  chosen = np.asarray(outputs["mask"], bool)
  want = np.asarray(outputs["correct"])[chosen].mean()
  np.testing.assert_allclose(metrics["accuracy"], want, rtol=1e-6)
  again = task.evaluate(Stub(), batch)
  np.testing.assert_array_equal(again["mask"], outputs["mask"])


def test_train_metrics_take_what_the_loss_gives():
  task = MaskedLM()
  loss, outputs = loss_at(0, texts())
  outputs |= {"grad_norm": jnp.ones(()), "flip_ratio": jnp.zeros(())}
  got = task.train_metrics.single_from_model_output(**outputs).compute()
  np.testing.assert_allclose(got["loss"], loss)


@nnx.jit
def berts():
  """A student and a teacher."""
  student = BERT(None, **SIZES, rngs=nnx.Rngs(0))
  teacher = BERT(None, **SIZES, weight=None, act=None, rngs=nnx.Rngs(1))
  return student, teacher


@pytest.mark.parametrize("preset", ["", "bipft"])
def test_a_small_bert_learns(preset):
  """One word follows from the other: without the text it is 1 of 7."""
  distill = {}
  if preset:
    distill = {"teacher": "x", "preset": preset, "logit_weight": 0.0}
  task = MaskedLM(share=0.3, distill=distill)
  rng = np.random.default_rng(0)
  tokens = np.tile(rng.integers(5, VOCAB, (64, 1)), (1, 8))
  tokens[:, 0], tokens[:, 7] = 2, 3
  batch = {"tokens": jnp.asarray(tokens, jnp.int32), "mask": jnp.ones(64)}
  model, teacher = berts()
  if preset:
    task.check_teacher(model, teacher, batch["tokens"])
  graph, params, rest = nnx.split(model, nnx.Param, ...)
  optimizer = optax.adam(0.01)

  @jax.jit
  def step(params, moments, number):
    def loss(params):
      model = nnx.merge(graph, params, rest)
      guide = teacher if preset else None
      return task.loss(model, batch, at(number), guide)[0]

    value, grads = jax.value_and_grad(loss)(params)
    updates, moments = optimizer.update(grads, moments)
    return optax.apply_updates(params, updates), moments, value

  moments, values = optimizer.init(params), []
  for number in range(40):
    params, moments, value = step(params, moments, number)
    values.append(float(value))
  assert np.isfinite(values).all()
  assert np.mean(values[-5:]) < 0.7 * values[0]
  outputs = nnx.jit(task.evaluate)(nnx.merge(graph, params, rest), batch)
  metrics = task.eval_metrics.single_from_model_output(**outputs).compute()
  assert metrics["accuracy"] > 0.3


@pytest.mark.parametrize(
  ("kw", "message"),
  [
    ({"share": 0.0}, r"`share` must be in \(0, 1\), got 0.0"),
    ({"share": "x"}, "`share` must be 0 or above, got 'x'"),
    ({"mask": 0}, r"`mask` must be the number of an entry above 0, \[PAD\]"),
    ({"cls": 1.5}, "`cls` must be the number .* got 1.5"),
    ({"mask_id": 3}, "Did you mean 'mask'"),
    ({"distill": {"teacher": "x", "preset": "bipf"}}, "Did you mean 'bipft'"),
  ],
)
def test_errors(kw, message):
  with pytest.raises(ValueError, match=message):
    tasks.build({"name": "masked_lm", **kw})


def config(**task):
  """Four steps of one block on fake texts."""
  settings = config_lib.base()
  settings.data.update(shape=(8,), vocab=64, num_classes=3)
  config_lib.make_smoke(settings)
  sizes = {"features": 16, "blocks": 1, "heads": 2}
  settings.model = {"name": "bert", **sizes}
  settings.task = {"name": "masked_lm", **task}
  return settings


@pytest.mark.slow
def test_runs_of_a_teacher_and_its_student(tmp_path):
  teacher = config()
  loop.train(teacher, tmp_path / "teacher")
  recipe = {"preset": "bipft", "logit_weight": 0.0}
  student = config(distill={"teacher": str(tmp_path / "teacher"), **recipe})
  result = loop.train(student, tmp_path / "student")
  assert set(result.metrics) == {"loss", "accuracy"}
  assert np.isfinite(result.metrics["loss"])
  student.model.blocks = 2
  with pytest.raises(ValueError, match="2 and 3 layers.*same depth"):
    loop.train(student, tmp_path / "deeper")
  assert not (tmp_path / "deeper").exists()
