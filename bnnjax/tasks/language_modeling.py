"""Next-token prediction, with or without a teacher."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import flax
import jax
import jax.numpy as jnp
import numpy as np
import optax
from clu import metrics
from flax import nnx

from bnnjax.core import registry
from bnnjax.core.progress import Mode
from bnnjax.data.sources import DatasetInfo
from bnnjax.models import generation
from bnnjax.tasks.base import Task
from bnnjax.tasks.distillation import Distillation
from bnnjax.tasks.metrics import Collection, TrainMetrics, masked_means


@flax.struct.dataclass
class BitsPerChar(metrics.Metric):
  """`sum of -log2 p(token) / number of characters`.

  The characters are those of the original text, before any normalizer. Unlike
  perplexity, it compares models with different vocabularies, and with a
  compressor if the tokenizer is lossless (`LmTokenizer.lossless`).
  """

  bits: jax.Array
  chars: jax.Array

  @classmethod
  def from_model_output(cls, *, loss, chars, mask, **_):
    bits = jnp.sum(loss * mask) / jnp.log(2.0)
    return cls(bits, jnp.sum(chars * mask, dtype=jnp.float32))

  @classmethod
  def empty(cls):
    return cls(jnp.zeros(()), jnp.zeros(()))

  def merge(self, other: "BitsPerChar") -> "BitsPerChar":
    return type(self)(self.bits + other.bits, self.chars + other.chars)

  def compute(self) -> jax.Array:
    return self.bits / self.chars


@flax.struct.dataclass
class Perplexity(metrics.Average):
  """`exp(mean of -log p(token))`."""

  def compute(self) -> jax.Array:
    return jnp.exp(super().compute())


@flax.struct.dataclass
class EvalMetrics(Collection):
  """Metrics over the scored tokens, each of which counts once."""

  loss: metrics.Average.from_output("loss")
  accuracy: metrics.Average.from_output("correct")
  perplexity: Perplexity.from_output("loss")
  bits_per_char: BitsPerChar


@registry.register("task", "language_modeling")
class LanguageModeling(Task):
  """Cross-entropy of the next token, of a teacher's distribution, or of both.

  A batch has `tokens` int32 `[B, T]` packed without padding, `scored` bool
  `[B, T]` (False for context, which the first token always is) and `chars`
  int32 `[B, T]`, the number of characters that a token completes.

  Args:
    distill: settings of a teacher, see `Distillation`. `{"teacher": WORKDIR}`
      is the autoregressive distillation of FBI-LLM (2407.07093) and Bi-Mamba
      (2411.11843): the teacher's probabilities, no label. `weight=0.5` adds
      labels (their `use_kd=2`).

  Raises:
    ValueError: a bad `distill`, see `Distillation`.
  """

  needs, causal = ("vocab",), True
  train_metrics = TrainMetrics
  eval_metrics = EvalMetrics
  headline, highest_is_best = "bits_per_char", False
  weighted = True

  def __init__(self, *, distill: Mapping[str, Any] | None = None):
    self.distillation = Distillation(distill, padded=False)

  def example(self, info: DatasetInfo) -> dict[str, jax.ShapeDtypeStruct]:
    """`tokens`, `scored` and `chars`, see the class."""
    shape = (1, *info.shape)
    return {
      **super().example(info),
      "scored": jax.ShapeDtypeStruct(shape, bool),
      "chars": jax.ShapeDtypeStruct(shape, np.int32),
    }

  def loss(
    self,
    model: nnx.Module,
    batch: Mapping[str, jax.Array],
    mode: Mode,
    teacher: nnx.Module | None = None,
  ) -> tuple[jax.Array, dict[str, jax.Array]]:
    """Mean loss over the scored tokens, whose number is the output `weight`.

    `correct` is the accuracy.
    """
    inputs, distillation = self.inputs(batch), self.distillation
    logits, hidden = distillation.forward(
      self.forward, model, *inputs, mode=mode
    )
    logits, targets, scored = _shifted(logits, batch)
    loss = optax.softmax_cross_entropy_with_integer_labels(logits, targets)
    if teacher is not None:
      teacher_logits, teacher_hidden = distillation.teacher_targets(
        self.forward, teacher, *inputs
      )
      loss = distillation.loss(
        loss, (logits, hidden), (teacher_logits[:, :-1], teacher_hidden)
      )
    return masked_means(loss, jnp.argmax(logits, -1) == targets, scored)

  def evaluate(
    self, model: nnx.Module, batch: Mapping[str, jax.Array]
  ) -> dict[str, jax.Array]:
    """Outputs of the deployed network, per token."""
    logits = self.forward(model, *self.inputs(batch)).astype(jnp.float32)
    logits, targets, scored = _shifted(logits, batch)
    return {
      "loss": optax.softmax_cross_entropy_with_integer_labels(logits, targets),
      "correct": jnp.argmax(logits, -1) == targets,
      "chars": batch["chars"][:, 1:],
      "mask": scored * batch["mask"][:, None],
    }

  def samples(
    self,
    model: nnx.Module,
    info: DatasetInfo,
    *,
    key: jax.Array,
    number: int,
    prompts: Sequence[np.ndarray],
    length: int,
    **options: Any,
  ) -> Iterator[np.ndarray]:
    """Continues prompts, one token of every text at a time.

    Args:
      model: of a checkpoint.
      info: as in `example`.
      key: random numbers.
      number: texts per prompt; the texts of one prompt follow each other.
      prompts: tokens of each prompt.
      length: maximum number of tokens of a text.
      **options: `stop` and how to draw, see `generation.generate`.

    Returns:
      An iterator over int32 `[B]`, which `bnnjax sample` prints as text.
    """
    starts = [tokens for tokens in prompts for _ in range(number)]
    return generation.generate(
      model, starts, length, key=key, vocab=info.vocab, **options
    )


def _shifted(logits, batch) -> tuple[jax.Array, jax.Array, jax.Array]:
  """Predictions, their targets, and whether these are scored: `[B, T - 1]`."""
  scored = batch["scored"][:, 1:].astype(jnp.float32)
  return logits[:, :-1], batch["tokens"][:, 1:], scored
