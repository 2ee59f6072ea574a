"""Distillation: a student learns a teacher's soft labels and layers.

Tasks build a `Distillation` from their `distill` setting; the formulas are in
`distances`, fields and presets in `distillation_settings`.
"""

import warnings
from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx

from bnnjax import deprecated
from bnnjax.core import registry
from bnnjax.core.number_checks import number
from bnnjax.core.progress import DEPLOYED, Mode
from bnnjax.layers import intermediates
from bnnjax.tasks import distillation_settings
from bnnjax.tasks.distances import MEANS, features, soft_cross_entropy

Output = tuple[jax.Array, intermediates.Intermediates]


class Distillation:
  """The `distill` setting of a task.

    loss = label_weight L + logit_weight T^2 CE(softmax(teacher / T), student /
    T)
           + sum over `match` of weight * distance(student, teacher)

  Args:
    settings: any of
      teacher: workdir of a trained run, float or quantized; of the same depth
        if layers are matched.
      temperature: T.
      weight: default of `logit_weight` and of 1 - `label_weight`; 1 means no
        label term (PokeBNN).
      label_weight, logit_weight: weights of the terms above.
      class_mean: average CE over the classes instead of summing it, as BiBERT
        and BiPFT do.
      match: which intermediates to match (`MATCHED`), and the distance to use
        ("direction", "direction_per_example", "mse"), with or without a weight:
        `{"queries": "direction", "hidden_states": ("mse", 0.1)}`.
      ignore_padding: leave padding out of the match.
      preset: "bibert" or "bipft"; other fields override it.

    padded: whether the task has padding.

  Raises:
    ValueError: unknown field or name, value out of range, missing teacher, a
      field that nothing reads (`temperature` without soft labels), or nothing
      to learn.
  """

  def __init__(
    self, settings: Mapping[str, Any] | None = None, *, padded: bool = True
  ):
    values = distillation_settings.read(settings)
    self.teacher, _ = values["teacher"], values["preset"]
    self.label_weight = values["label_weight"]
    self.logit_weight = values["logit_weight"]
    if self.label_weight is None or self.logit_weight is None:
      weight = number("distill.weight", values["weight"], 0, 1)
      if self.label_weight is None:
        self.label_weight = 1 - weight
      if self.logit_weight is None:
        self.logit_weight = weight
    number("distill.label_weight", self.label_weight, 0)
    number("distill.logit_weight", self.logit_weight, 0)
    self.match = distillation_settings.parse_match(values["match"])
    self.temperature, self.class_mean = 1.0, False
    if self.logit_weight:
      self.temperature, self.class_mean = (
        values["temperature"],
        values["class_mean"],
      )
    if not number("distill.temperature", self.temperature, 0):
      raise ValueError("`distill.temperature` must be above 0, got 0.")
    self.ignore_padding = bool(
      self.match and padded and values["ignore_padding"]
    )
    learned = any(weight for _, weight in self.match.values())
    if not (self.label_weight or self.logit_weight or learned):
      raise ValueError(
        "`distill` leaves nothing to learn: `label_weight`, `logit_weight` and"
        f" all weights of `match` are 0, got {dict(settings)}."
      )
    values.refuse_unread("with the terms of the loss that are not 0")

  def whole_batch(self, *, weighted: bool = False) -> str:
    """The terms that are not a mean over the parts of a batch; empty if none.

    Args:
      weighted: the loss is a mean over tokens. Parts of a batch differ in their
        number of tokens, while distances average over all of them.
    """
    found = [
      f"`distill.match` of {name!r} by {distance!r}"
      for name, (distance, weight) in self.match.items()
      if weight and (weighted or distance not in MEANS)
    ]
    return ", ".join(found)

  def forward(
    self,
    call: Callable[..., jax.Array],
    model: nnx.Module,
    *inputs: Any,
    mode: Mode = DEPLOYED,
    **options: Any,
  ) -> Output:
    """Runs the student or the teacher.

    Args:
      call: calls the model, see `Task.forward`.
      model: student or teacher.
      *inputs, **options: arguments of `call`, beside the mode.
      mode: of the call.

    Returns:
      Logits, float32, and the intermediates, `{}` if nothing is matched.
    """

    def called(model, *args):
      *inputs, mode = args
      return call(model, *inputs, mode=mode, **options)

    if self.match:
      logits, hidden = intermediates.call(called, model, *inputs, mode=mode)
    else:
      logits, hidden = called(model, *inputs, mode), {}
    return logits.astype(jnp.float32), hidden

  def teacher_targets(
    self,
    call: Callable[..., jax.Array],
    teacher: nnx.Module,
    *inputs: Any,
    **options: Any,
  ) -> Output:
    """The output of `forward` for the deployed teacher, not differentiated."""
    if self.match:
      # Capturing writes to layers, and the teacher may come from outside the
      # function that is differentiated.
      teacher = nnx.clone(teacher)
    output = self.forward(call, teacher, *inputs, **options)
    return jax.lax.stop_gradient(output)

  def call(self, *args: Any, **kwargs: Any) -> Output:
    """Old name of `forward`, for one version."""
    _warn_renamed("call", "forward")
    return self.forward(*args, **kwargs)

  def hints(self, *args: Any, **kwargs: Any) -> Output:
    """Old name of `teacher_targets`, for one version."""
    _warn_renamed("hints", "teacher_targets")
    return self.teacher_targets(*args, **kwargs)

  def loss(
    self,
    loss: jax.Array,
    student: Output,
    teacher: Output,
    tokens: jax.Array | None = None,
  ) -> jax.Array:
    """The loss with a teacher.

    Args:
      loss: L of the labels, `[...]`.
      student: output of `forward`, logits `[..., classes]`.
      teacher: output of `teacher_targets`.
      tokens: bool `[B, T]`, False for padding; used if `ignore_padding`.

    Returns:
      `[...]`. The distance between layers is one number for the batch, added to
      every entry.
    """
    logits, hidden = student
    teacher_logits, teacher_hidden = teacher
    total = self.label_weight * loss
    if self.logit_weight:
      t = self.temperature
      target = jax.nn.softmax(teacher_logits / t)
      soft = t**2 * soft_cross_entropy(logits / t, target)
      classes = logits.shape[-1] if self.class_mean else 1
      total = total + self.logit_weight * soft / classes
    tokens = tokens if self.ignore_padding else None
    for name, (distance, weight) in self.match.items():
      pair = (
        [features(name, layer, tokens) for layer in layers[name]]
        for layers in (hidden, teacher_hidden)
      )
      total = total + weight * registry.get("distance", distance)(*pair)
    return total

  def check(
    self,
    call: Callable[..., jax.Array],
    student: nnx.Module,
    teacher: nnx.Module,
    *inputs: Any,
  ) -> None:
    """Checks that the layers of two networks can be compared, by shapes alone.

    Args:
      call: calls either network, see `Task.forward`.
      student, teacher: may be abstract, see `models.abstract`.
      *inputs: of both, arrays or `jax.ShapeDtypeStruct`s.

    Raises:
      ValueError: a network has no intermediates of a name in `match`, or the
        two differ in the number of layers or the shapes compared.
    """
    if not self.match:
      return
    student_shapes, teacher_shapes = (
      self._shapes(call, model, inputs) for model in (student, teacher)
    )
    for name in self.match:
      mine, theirs = student_shapes[name], teacher_shapes[name]
      for who, shapes in (("student", mine), ("teacher", theirs)):
        if not shapes:
          raise ValueError(
            f"`distill.match` names {name!r}, but the layers of the {who} have"
            " none: only transformers do."
          )
      if len(mine) != len(theirs):
        raise ValueError(
          f"Teacher and student differ in the number of {name!r}: {len(theirs)}"
          f" and {len(mine)} layers. Matched networks must have the same depth."
        )
      for layer, (s, t) in enumerate(zip(mine, theirs)):
        if s != t:
          raise ValueError(
            f"Teacher and student differ in the {name!r} of layer {layer}: the"
            f" shapes to compare are {t} and {s}. `distill.match` needs the same"
            " width (hidden states) or number of heads (the others)."
          )

  def _shapes(self, call, model, inputs) -> dict[str, list[tuple[int, ...]]]:
    """Shapes of what is compared, by name and layer."""
    graphdef, state = nnx.split(model)

    def compared(state, *inputs):
      _, hidden = self.teacher_targets(
        call, nnx.merge(graphdef, state), *inputs
      )
      return {
        n: [features(n, x) for x in hidden.get(n, ())] for n in self.match
      }

    shapes = jax.eval_shape(compared, state, *inputs)
    return {n: [x.shape for x in layers] for n, layers in shapes.items()}


def _warn_renamed(old: str, new: str) -> None:
  warnings.warn(
    f"Distillation.{old} is now {new}; the old name goes with the next version.",
    DeprecationWarning,
    stacklevel=3,
  )


__getattr__ = deprecated.old_names(
  __name__,
  {
    "DEFAULTS": "bnnjax.tasks.distillation_settings.DEFAULTS",
    "MATCHED": "bnnjax.layers.intermediates.MATCHED",
    "PRESETS": "bnnjax.tasks.distillation_settings.PRESETS",
  },
)
