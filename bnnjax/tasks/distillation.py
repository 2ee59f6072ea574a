"""What a student learns from a teacher: soft labels, and layers that match.

Tasks build a `Distillation` from their `distill` setting; the formulas are in
`distances`.
"""

from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx

from bnnjax.core import registry
from bnnjax.core.numbers import number
from bnnjax.core.progress import DEPLOYED, Mode
from bnnjax.core.settings import Settings
from bnnjax.layers import intermediates
from bnnjax.layers.intermediates import MATCHED
from bnnjax.tasks.distances import (
  MEANS,
  features,
  soft_cross_entropy,
)

DEFAULTS = {
  "teacher": "",
  "preset": "",
  "temperature": 1.0,
  "weight": 1.0,
  "label_weight": None,
  "logit_weight": None,
  "class_mean": False,
  "match": {},
  "ignore_padding": False,
}
PRESETS = {
  # softCE + 0.5 NLL + L_q + L_k + L_v + L_hid (quant_task_glue.py).
  "bibert": {
    "label_weight": 0.5,
    "logit_weight": 1.0,
    "class_mean": True,
    "match": dict.fromkeys(MATCHED, "direction"),
  },
  # L_real + L_cls + L_rep (learner.py), where L_cls is of the next-sentence
  # logits: masked language modelling has none, its `logit_weight` is 0.
  "bipft": {
    "label_weight": 1.0,
    "logit_weight": 1.0,
    "class_mean": True,
    "match": {"hidden_states": "mse"},
  },
}

Output = tuple[jax.Array, intermediates.Intermediates]


class Distillation:
  """The `distill` setting of a task.

    loss = label_weight L + logit_weight T^2 CE(softmax(teacher / T), student / T)
           + sum over `match` of weight * distance(student, teacher)

  Args:
    settings: any of
      teacher: workdir of a trained run (float or quantized), of the same depth
        if layers are matched.
      temperature: T.
      weight: `logit_weight`, and 1 - `label_weight`, where these two are not
        given; 1 for no label term (PokeBNN).
      label_weight, logit_weight: of the terms above.
      class_mean: mean over the classes for the sum in CE, as BiBERT and BiPFT.
      match: what is matched between layers (`MATCHED`) and by which distance
        ("direction", "direction_per_example", "mse"), with or without a weight:
        `{"queries": "direction", "hidden_states": ("mse", 0.1)}`.
      ignore_padding: padding does not count in what is matched.
      preset: "bibert" or "bipft", of which other fields may differ.

    padded: whether the task knows padding.

  Raises:
    ValueError: unknown field or name, value out of range, no teacher, a field
      that nothing reads (`temperature` without soft labels), nothing to learn.
  """

  def __init__(
    self, settings: Mapping[str, Any] | None = None, *, padded: bool = True
  ):
    if settings is not None and not hasattr(settings, "items"):
      raise ValueError(
        f"`distill` is a dict of settings with `teacher`, got {settings!r}."
      )
    given = dict(settings or {})
    Settings("distill", given, DEFAULTS)  # a typo comes before what is missing
    if given and not given.get("teacher"):
      raise ValueError(
        "`task.distill` needs `teacher`: a trained run's workdir."
      )
    preset = given.get("preset", "")
    if preset and preset not in PRESETS:
      raise registry.unknown("`distill.preset`", preset, PRESETS)
    values = Settings("distill", given, {**DEFAULTS, **PRESETS.get(preset, {})})
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
    self.match = _parse_match(values["match"])
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
    for name in ("class_mean", "ignore_padding"):
      if not isinstance(given.get(name, False), bool):
        raise ValueError(
          f"`distill.{name}` must be True or False, got {given[name]!r}."
        )
    learned = any(weight for _, weight in self.match.values())
    if not (self.label_weight or self.logit_weight or learned):
      raise ValueError(
        "`distill` leaves nothing to learn: `label_weight`, `logit_weight` and"
        f" all of `match` are 0, got {given}."
      )
    values.refuse_unread("with the terms of the loss that are not 0")

  def whole_batch(self, *, weighted: bool = False) -> str:
    """What of the loss is no mean over the parts of a batch; empty: nothing.

    Args:
      weighted: the loss is a mean over tokens, of which parts differ in number,
        while distances are means over all of them.
    """
    found = [
      f"`distill.match` of {name!r} by {distance!r}"
      for name, (distance, weight) in self.match.items()
      if weight and (weighted or distance not in MEANS)
    ]
    return ", ".join(found)

  def call(
    self,
    forward: Callable[..., jax.Array],
    model: nnx.Module,
    *inputs: Any,
    mode: Mode = DEPLOYED,
    **options: Any,
  ) -> Output:
    """Logits, float32, and the intermediates, `{}` if nothing is matched.

    Args:
      forward: calls the model, see `Task.forward`.
      model: of the student or the teacher.
      *inputs, **options: of `forward`, beside the mode.
      mode: on whose behalf.
    """

    def called(model, *args):
      *inputs, mode = args
      return forward(model, *inputs, mode=mode, **options)

    if self.match:
      logits, left = intermediates.call(called, model, *inputs, mode=mode)
    else:
      logits, left = called(model, *inputs, mode), {}
    return logits.astype(jnp.float32), left

  def hints(
    self,
    forward: Callable[..., jax.Array],
    teacher: nnx.Module,
    *inputs: Any,
    **options: Any,
  ) -> Output:
    """What `call` gives of the deployed teacher, not differentiated."""
    if self.match:
      # Layers are written to while they are captured, and the teacher may come
      # from outside the function that is differentiated.
      teacher = nnx.clone(teacher)
    output = self.call(forward, teacher, *inputs, **options)
    return jax.lax.stop_gradient(output)

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
      student: what `call` gave, logits `[..., classes]`.
      teacher: what `hints` gave.
      tokens: bool `[B, T]`, False for padding; read if `ignore_padding`.

    Returns:
      `[...]`: distances of layers, which are of the batch, are part of all.
    """
    logits, left = student
    hints, theirs = teacher
    total = self.label_weight * loss
    if self.logit_weight:
      t = self.temperature
      hint = t**2 * soft_cross_entropy(logits / t, jax.nn.softmax(hints / t))
      classes = logits.shape[-1] if self.class_mean else 1
      total = total + self.logit_weight * hint / classes
    tokens = tokens if self.ignore_padding else None
    for name, (distance, weight) in self.match.items():
      pair = (
        [features(name, layer, tokens) for layer in layers[name]]
        for layers in (left, theirs)
      )
      total = total + weight * registry.get("distance", distance)(*pair)
    return total

  def check(
    self,
    forward: Callable[..., jax.Array],
    student: nnx.Module,
    teacher: nnx.Module,
    *inputs: Any,
  ) -> None:
    """Refuses networks whose layers cannot be compared; computes nothing.

    Args:
      forward: calls either, see `Task.forward`.
      student, teacher: may be abstract, see `models.abstract`.
      *inputs: of both, arrays or `jax.ShapeDtypeStruct`s.

    Raises:
      ValueError: a network leaves nothing under a name of `match`, or they
        differ in the number of layers or in the size of what is compared.
    """
    if not self.match:
      return
    mine, theirs = (
      self._shapes(forward, model, inputs) for model in (student, teacher)
    )
    for name in self.match:
      for who, shapes in (("student", mine), ("teacher", theirs)):
        if not shapes[name]:
          raise ValueError(
            f"`distill.match` names {name!r}, but the layers of the {who} have"
            " none: only transformers do."
          )
      if len(mine[name]) != len(theirs[name]):
        raise ValueError(
          f"Teacher and student differ in the number of {name!r}:"
          f" {len(theirs[name])} and {len(mine[name])} layers. Matched networks"
          " must be of the same depth."
        )
      for layer, (s, t) in enumerate(zip(mine[name], theirs[name])):
        if s != t:
          raise ValueError(
            f"Teacher and student differ in the {name!r} of layer {layer}:"
            f" compared are {t} and {s}. `distill.match` needs the same width"
            " (hidden states) or number of heads (the others)."
          )

  def _shapes(self, forward, model, inputs) -> dict[str, list[tuple[int, ...]]]:
    """Shapes of what is compared, by name and layer."""
    graphdef, state = nnx.split(model)

    def compared(state, *inputs):
      _, left = self.hints(forward, nnx.merge(graphdef, state), *inputs)
      return {n: [features(n, x) for x in left.get(n, ())] for n in self.match}

    shapes = jax.eval_shape(compared, state, *inputs)
    return {n: [x.shape for x in layers] for n, layers in shapes.items()}


def _parse_match(match: Any) -> dict[str, tuple[str, float]]:
  """`{name: (distance, weight)}`, checked."""
  if isinstance(match, (str, tuple, list)):
    raise ValueError(
      "`distill.match` maps names to distances, such as {'queries':"
      f" 'direction'}}, got {match!r}. A published choice is a `preset`."
    )
  parsed = {}
  for name, entry in dict(match).items():
    if name not in MATCHED:
      raise registry.unknown("name in `distill.match`", name, MATCHED)
    pair = (entry, 1.0) if isinstance(entry, str) else entry
    if not isinstance(pair, (tuple, list)) or len(pair) != 2:
      raise ValueError(
        f"`distill.match` of {name!r} must be a distance or (distance, weight),"
        f" got {entry!r}."
      )
    distance, weight = pair
    registry.get("distance", distance)
    number(f"distill.match` weight of `{name}", weight, 0)
    parsed[name] = (distance, weight)
  return parsed
