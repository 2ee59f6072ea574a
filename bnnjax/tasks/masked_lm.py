"""Masked language modelling (BERT, Devlin et al., NAACL 2019, 1810.04805)."""

from collections.abc import Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import optax
from flax import nnx

from bnnjax.core import registry
from bnnjax.core.number_checks import number
from bnnjax.core.progress import Mode
from bnnjax.data.sources import DatasetInfo
from bnnjax.data.wordpiece import PAD, SPECIAL
from bnnjax.tasks.base import LABEL, Task
from bnnjax.tasks.distillation import Distillation
from bnnjax.tasks.metrics import EvalMetrics, TrainMetrics, masked_means

# Of the hidden tokens; data order uses the seed of the run.
TRAIN_SEED, EVAL_SEED = 0, 1


def mask_tokens(
  key: jax.Array,
  tokens: jax.Array,
  *,
  vocab: int,
  mask: int,
  keep: Sequence[int] = (),
  share: float = 0.15,
) -> tuple[jax.Array, jax.Array]:
  """Hides tokens: 80 % become [MASK], 10 % any other entry, 10 % stay.

  Every token is chosen independently; the BERT authors' code chooses a fixed
  number per text. [PAD] is never chosen or inserted.

  Args:
    key: random numbers.
    tokens: int `[B, T]`.
    vocab: entries of the vocabulary.
    mask: token of [MASK].
    keep: tokens that are never chosen: [CLS], [SEP].
    share: probability of choosing a token.

  Returns:
    Tokens `[B, T]`, and whether each was chosen, bool `[B, T]`.
  """
  choose, change, draw = jax.random.split(key, 3)
  special = jnp.isin(tokens, jnp.array([PAD, *keep]))
  chosen = jax.random.bernoulli(choose, share, tokens.shape) & ~special
  u = jax.random.uniform(change, tokens.shape)
  entry = jax.random.randint(draw, tokens.shape, PAD + 1, vocab, tokens.dtype)
  hidden = jnp.where(u < 0.8, mask, jnp.where(u < 0.9, entry, tokens))
  return jnp.where(chosen, hidden, tokens), chosen


@registry.register("task", "masked_lm")
class MaskedLM(Task):
  """Cross-entropy of hidden tokens, with or without a teacher.

  The model needs `token_logits` and a word embedding `word`, such as `bert`.
  The hidden tokens depend on the step alone, so that a killed run resumes with
  the same ones; in evaluation they are always the same.

  Args:
    share: probability of hiding a token.
    cls, sep, mask: tokens of [CLS], [SEP] and [MASK]; by default those of a
      vocabulary that begins with `wordpiece.SPECIAL`. In BERT's own vocabulary
      they are 101, 102 and 103.
    distill: settings of a teacher, see `Distillation`. That of BiPFT (no term
      for the logits of masked tokens) is `{"teacher": ..., "preset": "bipft",
      "logit_weight": 0}`.

  Raises:
    ValueError: a share outside (0, 1), tokens that are not entries, or a bad
      `distill`, see `Distillation`.
  """

  method, needs = "token_logits", ("vocab",)
  train_metrics = TrainMetrics
  eval_metrics = EvalMetrics
  headline, highest_is_best = "accuracy", True
  weighted = True

  def __init__(
    self,
    *,
    share: float = 0.15,
    cls: int = SPECIAL.index("[CLS]"),
    sep: int = SPECIAL.index("[SEP]"),
    mask: int = SPECIAL.index("[MASK]"),
    distill: Mapping[str, Any] | None = None,
  ):
    if not 0 < number("share", share, 0) < 1:
      raise ValueError(f"`share` must be in (0, 1), got {share}.")
    for name, token in (("cls", cls), ("sep", sep), ("mask", mask)):
      if not isinstance(token, int) or isinstance(token, bool) or token <= PAD:
        raise ValueError(
          f"`{name}` must be the number of an entry above {PAD}, [PAD]: got"
          f" {token!r}."
        )
    self.share, self.keep, self.mask = share, (cls, sep), mask
    given = distill
    if hasattr(given, "items") and given.get("preset") == "bipft":
      # Its L_cls is that of next-sentence prediction.
      given = {"logit_weight": 0.0, **given}
    self.distillation = Distillation(given)

  def example(self, info: DatasetInfo) -> dict[str, jax.ShapeDtypeStruct]:
    """`tokens`, and the `label` of a text, which is not used.

    It excludes windows of one text, which have no label, [CLS] and [SEP].
    """
    return {**super().example(info), "label": LABEL}

  def check_data(self, info: DatasetInfo) -> None:
    """Raises if a special token is outside the vocabulary.

    Raises:
      ValueError: names the token; its embedding would be that of another.
    """
    for name, token in zip(("cls", "sep", "mask"), (*self.keep, self.mask)):
      if token >= info.vocab:
        raise ValueError(
          f"`task.{name}` is {token}, but the vocabulary has {info.vocab}"
          " entries, from 0."
        )

  def loss(
    self,
    model: nnx.Module,
    batch: Mapping[str, jax.Array],
    mode: Mode,
    teacher: nnx.Module | None = None,
  ) -> tuple[jax.Array, dict[str, jax.Array]]:
    """Mean loss over the hidden tokens, whose number is the output `weight`.

    `correct` is the accuracy.
    """
    tokens, distillation = batch["tokens"], self.distillation
    key = mode.fold_in(jax.random.key(TRAIN_SEED))
    x, chosen = self._hide(key, tokens, model)
    present = tokens != PAD
    student = distillation.forward(
      self.forward, model, x, mode=mode, mask=present
    )
    logits, _ = student
    loss = optax.softmax_cross_entropy_with_integer_labels(logits, tokens)
    if teacher is not None:
      targets = distillation.teacher_targets(
        self.forward, teacher, x, mask=present
      )
      loss = distillation.loss(loss, student, targets, present)
    return masked_means(loss, jnp.argmax(logits, -1) == tokens, chosen)

  def evaluate(
    self, model: nnx.Module, batch: Mapping[str, jax.Array]
  ) -> dict[str, jax.Array]:
    """`loss`, `correct` and `mask` of the deployed network, per token."""
    tokens = batch["tokens"]
    x, chosen = self._hide(jax.random.key(EVAL_SEED), tokens, model)
    logits = self.forward(model, x, mask=tokens != PAD).astype(jnp.float32)
    loss = optax.softmax_cross_entropy_with_integer_labels(logits, tokens)
    return {
      "loss": loss,
      "correct": jnp.argmax(logits, -1) == tokens,
      "mask": chosen * batch["mask"][:, None],
    }

  def _hide(self, key, tokens, model) -> tuple[jax.Array, jax.Array]:
    return mask_tokens(
      key,
      tokens,
      vocab=self._entries(model),
      mask=self.mask,
      keep=self.keep,
      share=self.share,
    )

  @staticmethod
  def _entries(model: nnx.Module) -> int:
    """Rows of the word table; `None` stands for a table of low-bit weights."""
    table = model.word.table
    return model.vocab if table is None else table.shape[0]
