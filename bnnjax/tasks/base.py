"""What a task is: the contract of a loss with all that runs it."""

from collections.abc import Mapping
from typing import Any

import jax
import numpy as np
from flax import nnx

from bnnjax.core.progress import DEPLOYED, Mode
from bnnjax.data.sources import IMAGES, DatasetInfo
from bnnjax.tasks.metrics import Loss, TrainLoss

Batch = Mapping[str, jax.Array]
LABEL = jax.ShapeDtypeStruct((1,), np.int32)  # of an example


class Task:
  """A loss and its evaluation, with what both need of the data and the model.

  Subclass it and register the class, `@registry.register("task", "mine")`: then
  `config.task = {"name": "mine", ...}` trains, evaluates, counts and resumes
  with it. The other fields of `config.task` are the arguments of `__init__`.
  `loss` has to be defined; everything else has a default.

  A batch is a dict of arrays `[B, ...]`: the keys of `example`, whatever else
  the source gives, and in evaluation `mask` `[B]`, which is 0 for the rows that
  fill up the last batch.

  Attributes:
    method: of the model that `forward` calls.
    needs: arguments that a model must take, such as `("num_classes",)`. A model
      without one of them is for another task and refused.
    causal: whether the model must read from left to right.
    train_metrics: clu `Collection` of what `loss` returns, with `loss`,
      `grad_norm` and `flip_ratio` (the loop gives the last two).
    eval_metrics: clu `Collection` of what `evaluate` returns. Its names are
      those of the record.
    gathered: outputs of `evaluate` that `reduce` takes, over the whole split.
    headline: metric by which the best checkpoint is chosen.
    highest_is_best: whether the highest is the best.
    weighted: whether `loss` is a mean over terms whose number is its output
      `weight`, such as tokens that are scored; else it is one over examples.
    distillation: what is learned from a teacher, a
      `bnnjax.tasks.distillation.Distillation`; `None`: nothing.
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
    """Workdir of the run that is learned from; empty: none."""
    return self.distillation.teacher if self.distillation else ""

  @property
  def whole_batch(self) -> str:
    """What makes the loss no mean over parts of a batch; empty: nothing.

    Such a loss is refused beside `optim.accumulate`, see
    `bnnjax.train.accumulate`.
    """
    if not self.distillation:
      return ""
    return self.distillation.whole_batch(weighted=self.weighted)

  def example(self, info: DatasetInfo) -> dict[str, jax.ShapeDtypeStruct]:
    """What the task reads of a batch of one example.

    A source whose examples lack a key, or hold another shape or kind of number
    under it, is refused. By default the input alone: `image` float32 `[1, H, W,
    C]` or `tokens` int32 `[1, T]`.

    Args:
      info: shape, vocabulary and number of classes as the config has them; the
        shape is that after augmentation.
    """
    dtype = np.float32 if info.kind is IMAGES else np.int32
    return {info.kind.key: jax.ShapeDtypeStruct((1, *info.shape), dtype)}

  def check_data(self, info: DatasetInfo) -> None:
    """Refuses data that the task can do nothing with.

    Args:
      info: as of `example`.

    Raises:
      ValueError: says what is wrong.
    """

  def model_arguments(
    self, info: DatasetInfo, settings: Mapping[str, Any]
  ) -> dict[str, Any]:
    """Arguments of the model that the data and the task decide.

    A model is given those that it takes. A config that sets one of them is
    refused; so a longer `max_len` and a larger `vocab` than the data's, which
    `settings` may have, are left out of the result.

    Args:
      info: as of `example`.
      settings: `config.model`.

    Raises:
      ValueError: a `max_len` or `vocab` in `settings` that is too small.
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
    """What the model is called with, beside the mode: of any number.

    The cost of the model is that of these for `example`, and a teacher is
    checked with them. By default `tokens`, else `image`.
    """
    return (batch["tokens"] if "tokens" in batch else batch["image"],)

  def forward(
    self, model: nnx.Module, *inputs: Any, mode: Mode = DEPLOYED, **options: Any
  ) -> Any:
    """Calls the model: `model.<method>(*inputs, mode, **options)`.

    What it does for `inputs` is what is counted.
    """
    return getattr(model, self.method)(*inputs, mode, **options)

  def loss(
    self,
    model: nnx.Module,
    batch: Batch,
    mode: Mode,
    teacher: nnx.Module | None = None,
  ) -> tuple[jax.Array, dict[str, jax.Array]]:
    """Loss of a batch, and what `train_metrics` read: `loss` at least.

    A loss that draws takes its key from the step, `mode.fold_in(key)`, so that a
    run that was killed goes on as if it had not been.

    Args:
      model: of the run.
      batch: see the class.
      mode: of a training step; it goes to the model.
      teacher: the model of the run `self.teacher`, if any.

    Returns:
      A scalar, which is differentiated, and a dict of arrays `[B]`, or scalars
      that are means as the loss is; `weight` is their number, see `weighted`.
    """
    raise NotImplementedError(f"{type(self).__name__} has no `loss`.")

  def evaluate(self, model: nnx.Module, batch: Batch) -> dict[str, jax.Array]:
    """What `eval_metrics` and `reduce` read, by the deployed network.

    By default what `loss` returns for the deployed network, which then must be
    an array `[B]`.

    Returns:
      Arrays `[B, ...]`, a row for each example. `mask` is that of the batch
      where it is not among them.
    """
    return self.loss(model, batch, DEPLOYED)[1]

  def reduce(self, gathered: Mapping[str, np.ndarray]) -> dict[str, float]:
    """Metrics of the whole split that are no mean, such as recall@k.

    Args:
      gathered: the outputs of `evaluate` named in `self.gathered`, of all
        examples: `[N, ...]`, without the rows that filled up the last batch.
        Row i is the same example in all of them. One process keeps the order of
        the data; several take turns.

    Returns:
      Metrics beside those of `eval_metrics`.
    """
    return {}

  def check_teacher(
    self, student: nnx.Module, teacher: nnx.Module, *inputs: Any
  ) -> None:
    """Refuses a teacher that the student cannot be compared with.

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
    """New examples, which `bnnjax sample` writes to a file. By default none.

    Args:
      model: of a checkpoint.
      info: as of `example`.
      key: random numbers.
      number: of the examples.
      **options: of a language model, see `LanguageModeling.samples`.

    Returns:
      An array `[number, ...]`.
    """
    raise NotImplementedError(f"{type(self).__name__} has no `samples`.")


def input_shapes(task: Task, info: DatasetInfo) -> tuple[Any, ...]:
  """Shapes of `task.inputs` for one example; nothing is computed.

  Raises:
    TypeError: they are no tuple.
  """
  found = jax.eval_shape(task.inputs, task.example(info))
  if not isinstance(found, tuple):
    raise TypeError(
      f"`inputs` of {type(task).__name__} must return a tuple, one entry for"
      f" each argument of the model: got {type(found).__name__}."
    )
  return found
