"""The base class of tasks: a loss, an evaluation and the data they need."""

from collections.abc import Mapping
from typing import Any

import jax
import numpy as np
from flax import nnx

from bnnjax.core.progress import DEPLOYED, Mode
from bnnjax.data.sources import IMAGES, DatasetInfo
from bnnjax.tasks.metrics import Loss, TrainLoss

Batch = Mapping[str, jax.Array]
LABEL = jax.ShapeDtypeStruct((1,), np.int32)  # of one example


class Task:
  """A loss and its evaluation, and what both need of the data and the model.

  Subclass it and register the class, `@registry.register("task", "mine")`: then
  `config.task = {"name": "mine", ...}` trains, evaluates, counts and resumes
  with it. The other fields of `config.task` are the arguments of `__init__`.
  Only `loss` has to be defined.

  A batch is a dict of arrays `[B, ...]`: the keys of `example`, any others of
  the source, and in evaluation `mask` `[B]`, which is 0 for the rows that pad
  the last batch.

  Attributes:
    method: name of the model's method that `forward` calls.
    needs: arguments that a model must take, such as `("num_classes",)`. A model
      without one of them raises an error: it is for another task.
    causal: whether the model must read from left to right.
    train_metrics: clu `Collection` of the outputs of `loss`, with `loss`,
      `grad_norm` and `flip_ratio` (the training loop adds the last two).
    eval_metrics: clu `Collection` of the outputs of `evaluate`. The record uses
      its names.
    gathered: outputs of `evaluate` to collect over the whole split for
      `reduce`.
    headline: metric that chooses the best checkpoint.
    highest_is_best: whether a higher headline is better.
    weighted: whether `loss` is a mean over terms counted by its output
      `weight`, such as scored tokens, instead of a mean over examples.
    distillation: a `bnnjax.tasks.distillation.Distillation`, or `None` without
      a teacher.
  """

  method: str = "__call__"
  needs: tuple[str, ...] = ()
  causal: bool = False
  train_metrics: Any = TrainLoss
  eval_metrics: Any = Loss
  gathered: tuple[str, ...] = ()
  headline: str = "loss"
  highest_is_best: bool = False
  weighted: bool = False
  distillation: Any = None

  @property
  def teacher(self) -> str:
    """Workdir of the teacher; empty without one."""
    return self.distillation.teacher if self.distillation else ""

  @property
  def whole_batch(self) -> str:
    """The terms of the loss that are not a mean over parts of a batch, or "".

    `optim.accumulate` cannot be used with them, see `bnnjax.train.accumulate`.
    """
    if not self.distillation:
      return ""
    return self.distillation.whole_batch(weighted=self.weighted)

  def example(self, info: DatasetInfo) -> dict[str, jax.ShapeDtypeStruct]:
    """Shapes and types of a batch of one example that the task reads.

    A source raises an error if its examples lack a key or have another shape or
    kind of number. The default is the input alone: `image` float32 `[1, H, W,
    C]` or `tokens` int32 `[1, T]`.

    Args:
      info: shape (after augmentation), vocabulary and number of classes, as the
        config has them.
    """
    dtype = np.float32 if info.kind is IMAGES else np.int32
    return {info.kind.key: jax.ShapeDtypeStruct((1, *info.shape), dtype)}

  def check_data(self, info: DatasetInfo) -> None:
    """Raises if the data do not suit the task.

    Args:
      info: as in `example`.

    Raises:
      ValueError: says what is wrong.
    """

  def model_arguments(
    self, info: DatasetInfo, settings: Mapping[str, Any]
  ) -> dict[str, Any]:
    """Arguments of the model that the data and the task decide.

    A model receives those that it takes, and its config must not set them. The
    result therefore omits `max_len` and `vocab` if `settings` has them: they
    may be larger than those of the data.

    Args:
      info: as in `example`.
      settings: `config.model`.

    Raises:
      ValueError: `max_len` or `vocab` in `settings` is too small.
    """
    classes = {"num_classes": info.num_classes}
    if info.kind is IMAGES:
      return {**classes, "image_shape": tuple(info.shape)}
    (length,) = info.shape
    longest = settings.get("max_len", length)
    if longest < length:
      raise ValueError(
        f"`model.max_len` is {longest}, but the texts have {length} tokens."
      )
    entries = settings.get("vocab", info.vocab)
    if not isinstance(entries, int) or entries < info.vocab:
      raise ValueError(
        f"`model.vocab` is {entries!r}, but the texts have tokens of"
        f" {info.vocab} entries."
      )
    given = {"max_len": longest, "vocab": entries}
    return classes | {k: v for k, v in given.items() if k not in settings}

  def inputs(self, batch: Batch) -> tuple[Any, ...]:
    """Positional inputs of the model, of any number, without the mode.

    Costs are counted for those of `example`, and a teacher is checked with
    them. The default is `tokens` if the batch has them, else `image`.
    """
    return (batch["tokens"] if "tokens" in batch else batch["image"],)

  def forward(
    self, model: nnx.Module, *inputs: Any, mode: Mode = DEPLOYED, **options: Any
  ) -> Any:
    """Calls the model: `model.<method>(*inputs, mode, **options)`.

    Costs are counted for this call.
    """
    return getattr(model, self.method)(*inputs, mode, **options)

  def loss(
    self,
    model: nnx.Module,
    batch: Batch,
    mode: Mode,
    teacher: nnx.Module | None = None,
  ) -> tuple[jax.Array, dict[str, jax.Array]]:
    """Loss of a batch, and the outputs that `train_metrics` read.

    A random loss takes its key from the step, `mode.fold_in(key)`, so that a
    killed run resumes with the same numbers.

    Args:
      model: the student, or the only model.
      batch: see the class.
      mode: of a training step, for the model.
      teacher: the model of the run `self.teacher`, if any.

    Returns:
      The scalar to differentiate, and a dict with `loss` and others: arrays
      `[B]`, or scalars that are means like the loss; `weight` counts their
      terms, see `weighted`.
    """
    raise NotImplementedError(f"{type(self).__name__} has no `loss`.")

  def evaluate(self, model: nnx.Module, batch: Batch) -> dict[str, jax.Array]:
    """Outputs of the deployed network that `eval_metrics` and `reduce` read.

    The default is the dict of `loss`, whose entries must then be arrays `[B]`.

    Returns:
      Arrays `[B, ...]`, one row per example. `mask` defaults to that of the
      batch.
    """
    return self.loss(model, batch, DEPLOYED)[1]

  def reduce(self, gathered: Mapping[str, np.ndarray]) -> dict[str, float]:
    """Metrics of the whole split that are not means, such as recall@k.

    Args:
      gathered: the outputs of `evaluate` named in `self.gathered`, for all
        examples: `[N, ...]`, without the padding of the last batch. Row i is
        the same example in all of them. One process keeps the order of the
        data; several processes take turns.

    Returns:
      Metrics, in addition to those of `eval_metrics`.
    """
    return {}

  def check_teacher(
    self, student: nnx.Module, teacher: nnx.Module, *inputs: Any
  ) -> None:
    """Raises if the student cannot be compared with the teacher.

    Args:
      student, teacher: may be abstract, see `models.abstract`.
      *inputs: of both, arrays or `jax.ShapeDtypeStruct`s.

    Raises:
      ValueError: see `Distillation.check`.
    """
    if self.distillation:
      self.distillation.check(self.forward, student, teacher, *inputs)

  def samples(
    self,
    model: nnx.Module,
    info: DatasetInfo,
    *,
    key: jax.Array,
    number: int,
    **options: Any,
  ) -> Any:
    """Generates new examples, which `bnnjax sample` writes to a file.

    Args:
      model: of a checkpoint.
      info: as in `example`.
      key: random numbers.
      number: how many examples.
      **options: of a language model, see `LanguageModeling.samples`.

    Returns:
      An array `[number, ...]`.
    """
    raise NotImplementedError(f"{type(self).__name__} has no `samples`.")


def input_shapes(task: Task, info: DatasetInfo) -> tuple[Any, ...]:
  """Shapes of `task.inputs` for one example, without computing them.

  Raises:
    TypeError: `task.inputs` does not return a tuple.
  """
  found = jax.eval_shape(task.inputs, task.example(info))
  if not isinstance(found, tuple):
    raise TypeError(
      f"`inputs` of {type(task).__name__} must return a tuple, one entry for"
      f" each argument of the model: got {type(found).__name__}."
    )
  return found
