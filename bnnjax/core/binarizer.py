"""A binarizer: transform, estimator and scale, told apart by a short string.

[transform(k=v) > ] estimator(k=v) [ | scale(k=v)]      or a method's name
"""

import ast
import dataclasses
import re
from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp

from bnnjax.core import bits as bits_lib
from bnnjax.core import registry, uniform  # noqa: F401 (registers the grids)
from bnnjax.core.estimator import Estimator
from bnnjax.core.progress import DEPLOYED, Mode
from bnnjax.core.quantized import Quantized, Term
from bnnjax.core.scale import GRADIENTS, Scale, Variables
from bnnjax.core.transform import Transform

_PART = re.compile(r"^\s*([A-Za-z_]\w*)\s*(?:\((.*)\))?\s*$", re.S)
ROLES = bits_lib.ROLES


@dataclasses.dataclass(frozen=True)
class Binarizer:
  """Latent tensor in, `Quantized` out. Frozen and pure.

  Attributes:
    estimator: alphabet and backward rule.
    scale: float factor of the values; `None` is 1.
    transform: applied to the latent tensor first, and differentiated.
    estimator_hp, scale_hp, transform_hp: their hyper-parameters, as pairs.
    gradient: how the scale takes part in the backward pass: `"none"` (detached,
      does not touch dx: XNOR-Net, Bi-Real, ReActNet, PokeBNN), `"multiply"`
      (detached, multiplies dx: larq's magnitude-aware sign) or `"full"`
      (differentiated: learned scales, ReSTE). `None` takes the scale's default.
    measure: the scale sees the `"latent"` or the `"transformed"` tensor.
    start: when training starts to quantize: a fraction of the run (float) or a
      step (int). Tags describe the network after it; the deployed network is
      always quantized.
    role: `"weight"` or `"act"`.
    tag: whether values carry their bit-width for the cost counter. Off, nothing
      changes but the count.
  """

  estimator: Estimator
  scale: Scale | None = None
  transform: Transform | None = None
  estimator_hp: tuple[tuple[str, Any], ...] = ()
  scale_hp: tuple[tuple[str, Any], ...] = ()
  transform_hp: tuple[tuple[str, Any], ...] = ()
  gradient: str | None = None
  measure: str = "transformed"
  start: float | int = 0
  role: str = "weight"
  tag: bool = True

  def __post_init__(self):
    self.kind  # noqa: B018 (checks the estimator's hyper-parameters)
    for part, hp in (
      (self.scale, self.scale_hp),
      (self.transform, self.transform_hp),
    ):
      for key, _ in hp:
        if key not in part.defaults:
          kind = type(part).__name__.lower()
          raise registry.unknown(
            f"hyper-parameter of {kind} {part.name!r}", key, part.defaults
          )
    if self.gradient is not None and self.gradient not in GRADIENTS:
      raise registry.unknown("scale gradient", self.gradient, GRADIENTS)
    if self.measure not in ("latent", "transformed"):
      raise registry.unknown("measure", self.measure, ("latent", "transformed"))
    if self.role not in ROLES:
      raise registry.unknown("role", self.role, ROLES)

  @property
  def kind(self) -> bits_lib.BitTag:
    """Width, alphabet and group of the values."""
    group = 0
    if self.scale is not None and self.scale.group is not None:
      group = self.scale.group(**dict(self.scale_hp))
    hp = self.estimator.hyper(**dict(self.estimator_hp))
    return bits_lib.BitTag(
      self.estimator.width(hp), self.estimator.alphabet, group=group
    )

  def init(self, x) -> tuple[Variables, Variables]:
    """Parameters and statistics for a tensor.

    Args:
      x: the latent weight, or a `jax.ShapeDtypeStruct` for an activation (only
        its rank and its last axis are read).
    """
    if self.scale is None or self.scale.init is None:
      return {}, {}
    return self.scale.init(x, **dict(self.scale_hp))

  def apply(
    self,
    x: jax.Array,
    params: Variables | None = None,
    stats: Variables | None = None,
    mode: Mode = DEPLOYED,
  ) -> tuple[Quantized, Variables]:
    """Quantizes `x`.

    Args:
      x: latent tensor `[...]`.
      params: what `init` gave, trained since.
      stats: what `init` gave, updated since.
      mode: on whose behalf; training updates statistics.

    Returns:
      The low-bit tensor and the new statistics.
    """
    hp = dict(self.estimator_hp)
    latent, x = x, self._transformed(x)
    seen = latent if self.measure == "latent" else x
    scale, stats, ready = self._measured(seen, params or {}, stats or {}, mode)
    kind = self.kind
    full = scale
    if scale is not None and kind.group > 1:
      full = jnp.repeat(scale, kind.group, axis=-2)
    factor = 1.0 if full is None else full
    value = self.estimator.value(x, factor, **hp)
    surrogate = self._surrogate(x, factor, hp)
    on = self._on(mode, ready)
    if on is not True:
      value = jnp.where(on, value, jax.lax.stop_gradient(x))
      surrogate = jnp.where(on, surrogate, x)
      scale = None if scale is None else jnp.where(on, scale, 1)
    if self.tag:
      value = bits_lib.tag(value, kind, role=self.role)
    if scale is not None:
      scale = jax.lax.stop_gradient(scale)
    term = Term(value, scale, kind=kind)
    return Quantized((term,), surrogate=surrogate), stats

  def __call__(self, x: jax.Array, mode: Mode = DEPLOYED) -> jax.Array:
    """Dequantized `x`, for binarizers without parameters or statistics."""
    return self.apply(x, *self.init(x), mode)[0].dequantize()

  def _transformed(self, x):
    if self.transform is None:
      return x
    return self.transform(x, **dict(self.transform_hp))

  def _measured(self, x, params, stats, mode):
    """Scale of the grid (or `None`), new statistics, readiness."""
    measure = 1.0
    ready = True
    if self.scale is not None:
      if self._gradient != "full":
        x = jax.lax.stop_gradient(x)
      got = self.scale.measure(x, params, stats, mode, **dict(self.scale_hp))
      measure, stats, ready = got.scale, got.stats, got.ready
    if self.estimator.step is not None:
      hp = self.estimator.hyper(**dict(self.estimator_hp))
      hp.pop("at_zero", None)
      measure = self.estimator.step(jnp.asarray(measure), **hp)
    elif self.scale is None:
      measure = None
    return measure, stats, ready

  @property
  def _gradient(self) -> str:
    if self.gradient is not None:
      return self.gradient
    return "none" if self.scale is None else self.scale.gradient

  def _surrogate(self, x, factor, hp):
    """The dequantized tensor with the method's backward rule."""
    if self._gradient == "none":
      return self.estimator(x, scale=factor, **hp)
    if self._gradient == "multiply":
      factor = jax.lax.stop_gradient(factor)
    return (self.estimator(x, **hp) * factor).astype(x.dtype)

  def _on(self, mode: Mode, ready):
    """Whether the tensor is quantized: `True`, or a traced bool."""
    if mode.deployed:
      return True
    if self.start and mode.progress is None:
      raise ValueError(
        f"This binarizer starts to quantize at {self.start} of the run: training"
        " needs `Mode.training(progress)`."
      )
    if not self.start:
      return ready
    return mode.progress.reached(self.start) & ready


def parse(spec: "str | Binarizer | None", role: str, **options: Any):
  """Reads a spec string.

  Args:
    spec: `"ste"`, `"ste(clip=1.25)|channel_l1"`, `"center > ste | tensor_l1"`, a
      method's name (its preset for this role), or a `Binarizer`; `None` and
      `"float"` mean no binarization.
    role: `"weight"` or `"act"`.
    **options: fields of the `Binarizer` (`gradient`, `measure`, `start`, `tag`)
      that override the preset's.

  Returns:
    `Binarizer` or `None`.

  Raises:
    ValueError: an unknown name, with the nearest one; or bad syntax.
    TypeError: neither a string nor a binarizer.

  Example:
    >>> parse("ste|channel_l1", "weight").scale.name
    'channel_l1'
  """
  if spec is None or spec == "float":
    return None
  if isinstance(spec, Binarizer):
    return dataclasses.replace(spec, role=role, **options)
  if not isinstance(spec, str):
    raise TypeError(
      f"A {role} binarizer is a spec string, a Binarizer or None, got {spec!r}."
    )
  if spec.strip() in registry.registered("method"):
    preset = getattr(registry.get("method", spec.strip()), role)
    spec, options = preset.spec, {**dict(preset.options), **options}
    if spec is None:
      return None
  head, _, scale = spec.partition("|")
  transform, _, estimator = head.rpartition(">")
  parts = {}
  for kind, text in (
    ("transform", transform),
    ("estimator", estimator),
    ("scale", scale),
  ):
    if text.strip():
      parts[kind], parts[f"{kind}_hp"] = _part(kind, text, spec)
  if "estimator" not in parts:
    raise ValueError(f"Spec {spec!r} names no estimator.")
  return Binarizer(role=role, **parts, **options)


def _part(kind: str, text: str, spec: str):
  """`name(k=v, ...)` as a registered object and pairs."""
  match = _PART.match(text)
  if not match:
    raise ValueError(
      f"Cannot read {text.strip()!r} in spec {spec!r}. A spec is"
      " '[transform(k=v) > ] estimator(k=v) [ | scale(k=v)]'."
    )
  name, arguments = match.groups()
  known = registry.registered(kind)
  if kind == "estimator":
    known = sorted({*known, *registry.registered("method")})
  if name not in registry.registered(kind):
    raise registry.unknown(kind, name, known)
  return registry.get(kind, name), tuple(_keywords(arguments, spec).items())


def _keywords(arguments: str | None, spec: str) -> Mapping[str, Any]:
  """Literal keyword arguments of a spec part."""
  if not arguments or not arguments.strip():
    return {}
  try:
    call = ast.parse(f"f({arguments})", mode="eval").body
    if call.args or any(k.arg is None for k in call.keywords):
      raise ValueError("positional argument")
    return {k.arg: ast.literal_eval(k.value) for k in call.keywords}
  except (SyntaxError, ValueError) as error:
    raise ValueError(
      f"Cannot read the arguments {arguments!r} in spec {spec!r}: they are"
      " keyword=literal, e.g. 'ste(clip=1.25)'."
    ) from error
