"""Next-token prediction: the loss against its authors' code, the metrics."""

import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from bnnjax import tasks
from bnnjax.core.progress import DEPLOYED
from bnnjax.tasks.language_modeling import EvalMetrics, LanguageModeling
from tests import golden_cases

FILE = "fbi_linear.npz"
SETTINGS = {"ad": 1.0, "ad_mix": 0.5, "ce": None}  # share of the teacher


class Fixed(nnx.Module):
  """Gives logits `[B, T - 1, V]`, and nothing worth for the last token."""

  def __init__(self, logits):
    self.logits = nnx.Param(jnp.asarray(logits))

  def __call__(self, tokens, mode=DEPLOYED):
    return jnp.pad(self.logits[...], ((0, 0), (0, 1), (0, 0)))


def batch_of(tokens, scored=None):
  tokens = jnp.asarray(tokens, jnp.int32)
  scored = jnp.ones(tokens.shape, bool) if scored is None else scored
  return {
    "tokens": tokens,
    "scored": scored,
    "chars": jnp.ones(tokens.shape, jnp.int32),
    "mask": jnp.ones(len(tokens)),
  }


@golden_cases.parametrize(FILE, tuple(SETTINGS), separator=".")
def test_loss_of_fbi_llm(case):
  weight = SETTINGS[golden_cases.stem(case)]
  distill = None if weight is None else {"teacher": "runs/t", "weight": weight}
  task, batch = LanguageModeling(distill=distill), batch_of(case["ids"])
  teacher = None if weight is None else Fixed(case["t_logits"])

  def loss(student):
    return task.loss(student, batch, DEPLOYED, teacher)[0]

  got, grads = nnx.value_and_grad(loss)(Fixed(case["s_logits"]))
  golden_cases.close(got, case["loss"], 1e-5, "loss")
  golden_cases.close(grads.logits[...], case["g_logits"], 1e-5, "g_logits")


def test_only_scored_tokens_count():
  rng = np.random.default_rng(0)
  tokens = rng.integers(0, 7, (2, 5))
  scored = jnp.asarray(rng.random((2, 5)) < 0.5).at[0, 3].set(True)
  logits = rng.normal(size=(2, 4, 7)).astype("float32")
  task = LanguageModeling()
  loss, outputs = task.loss(Fixed(logits), batch_of(tokens, scored), DEPLOYED)
  log_p = jax.nn.log_softmax(logits)
  chosen = [
    (
      -log_p[b, t, tokens[b, t + 1]],
      np.argmax(logits[b, t]) == tokens[b, t + 1],
    )
    for b in range(2)
    for t in range(4)
    if scored[b, t + 1]
  ]
  want, right = np.mean(chosen, axis=0)
  np.testing.assert_allclose(loss, want, rtol=1e-6)
  np.testing.assert_allclose(outputs["correct"], right)


def test_metrics_of_an_evaluation():
  """A uniform model: log2 V bits a token, over the characters it stands for."""
  vocab, tokens = 8, np.arange(10).reshape(2, 5) % 8
  batch = batch_of(tokens)
  batch["chars"] = jnp.asarray([[9, 3, 0, 2, 1], [9, 1, 1, 1, 1]])
  batch["mask"] = jnp.array([1.0, 0.0])  # the second fills up the last batch
  outputs = LanguageModeling().evaluate(Fixed(np.zeros((2, 4, vocab))), batch)
  single = EvalMetrics.single_from_model_output(**outputs)
  got = EvalMetrics.empty().merge(single).compute()
  np.testing.assert_allclose(got["loss"], math.log(vocab), rtol=1e-6)
  np.testing.assert_allclose(got["perplexity"], vocab, rtol=1e-6)
  bits = 4 * math.log2(vocab)  # of four tokens, which stand for 6 characters
  np.testing.assert_allclose(got["bits_per_char"], bits / 6, rtol=1e-6)


def test_errors():
  with pytest.raises(ValueError, match="needs `teacher`"):
    tasks.build({"name": "language_modeling", "distill": {"weight": 0.5}})
  with pytest.raises(ValueError, match="Did you mean 'distill'"):
    tasks.build({"name": "language_modeling", "distil": {}})
  padded = {"teacher": "x", "match": {"keys": "mse"}, "ignore_padding": True}
  with pytest.raises(ValueError, match="Nothing reads `distill.ignore_padd"):
    tasks.build({"name": "language_modeling", "distill": padded})
