"""A binarizer: transform, estimator and scale, told apart by a short string.

[transform(k=v) > ] estimator(k=v) [ | scale(k=v)]      or a method's name

A value may be a schedule: "ede(t=geometric(start=0.1, end=10.0))".
"""

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp

from bnnjax.core import bits as bits_lib
from bnnjax.core import registry, uniform  # noqa: F401 (registers the grids)
from bnnjax.core import spec as spec_lib
from bnnjax.core.estimator import FLOAT, Estimator
from bnnjax.core.progress import DEPLOYED, Mode
from bnnjax.core.quantized import Quantized, Term
from bnnjax.core.scale import GRADIENTS, Scale, Variables
from bnnjax.core.schedule import resolve
from bnnjax.core.transform import Transform

ROLES = bits_lib.ROLES


@dataclasses.dataclass(frozen=True)
class Binarizer:
  """Latent tensor in, `Quantized` out. Frozen and pure.

  Attributes:
    estimator: alphabet and backward rule.
    scale: float factor of the values; `None` is 1.
    transform: applied to the latent tensor first, and differentiated.
    estimator_hp, scale_hp, transform_hp: their hyper-parameters, as pairs; a
      value may be `Annealed`.
    gradient: how the scale takes part in the backward pass: `"none"` (detached,
      does not touch dx: XNOR-Net, Bi-Real, ReActNet, PokeBNN), `"multiply"`
      (detached, multiplies dx: larq) or `"full"` (differentiated: learned
      scales, ReSTE). `None` takes the scale's default.
    measure: the scale sees the `"latent"` or the `"transformed"` tensor.
    start: when training starts to quantize: a fraction of the run (float) or a
      step (int); tags describe the network after it.
    role: `"weight"` or `"act"`.
    tag: whether values carry their bit-width; it changes nothing but the count.
    latent: whether a float weight stands behind the binary one; if not, the
      optimizer flips it (Bop).
    output, grad: of the layer that owns a weight binarizer, see `core.method`.
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
  latent: bool = True
  output: str | None = None
  grad: str | None = None

  def __post_init__(self):
    self.kind  # noqa: B018 (checks the estimator's hyper-parameters)
    for part, hp in (
      (self.scale, self.scale_hp),
      (self.transform, self.transform_hp),
    ):
      if hp:
        kind = type(part).__name__.lower()
        registry.check_hyper(kind, part, dict(hp))
    if self.gradient is not None and self.gradient not in GRADIENTS:
      raise registry.unknown("scale gradient", self.gradient, GRADIENTS)
    if self.measure not in ("latent", "transformed"):
      raise registry.unknown("measure", self.measure, ("latent", "transformed"))
    if self.is_float and self.scale is not None:
      raise ValueError(
        f"A float tensor takes no scale, got {self.scale.name!r}."
      )
    if self.estimator.step is not None and self._gradient != "none":
      raise ValueError(
        f"The grid of estimator {self.estimator.name!r} depends on its scale,"
        f" which takes part in no gradient; got gradient={self._gradient!r}"
        + (f" of scale {self.scale.name!r}." if self.scale else ".")
      )
    if self.role not in ROLES:
      raise registry.unknown("role", self.role, ROLES)

  @property
  def is_float(self) -> bool:
    """Whether values stay float (Weight Standardization alone)."""
    return self.estimator is FLOAT

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

  def init(
    self, x, key: jax.Array | None = None
  ) -> tuple[Variables, Variables]:
    """Parameters and statistics for a tensor.

    Args:
      x: the latent weight, or a `jax.ShapeDtypeStruct` for an activation (only
        its rank and its last axis are read).
      key: for parameters that start at random; by default `jax.random.key(0)`.
    """
    params, stats = {}, {}
    part = self.transform
    if part is not None:
      hp = resolve(self.transform_hp, DEPLOYED)
      if part.init is not None:
        params, stats = part.init(x, **hp)
      abstract = isinstance(x, jax.ShapeDtypeStruct)
      if self.measure == "transformed" and not abstract:
        x, _ = part.apply(x, params, stats, DEPLOYED, **hp)
    if self.scale is not None and self.scale.init is not None:
      got = self.scale.init(x, **resolve(self.scale_hp, DEPLOYED))
      params, stats = _joined(params, got[0]), _joined(stats, got[1])
    if self.estimator.init is not None:
      hp = self.estimator.hyper(**resolve(self.estimator_hp, DEPLOYED))
      key = jax.random.key(0) if key is None else key
      params = _joined(params, self.estimator.init(x, key, **hp))
    return params, stats

  def passing(self, x) -> frozenset[str]:
    """Names of the parameters that the deployed network does not have."""
    if self.estimator.init is None or not self.estimator.training_only:
      return frozenset()
    hp = self.estimator.hyper(**resolve(self.estimator_hp, DEPLOYED))
    init = lambda key: self.estimator.init(x, key, **hp)  # noqa: E731
    return frozenset(jax.eval_shape(init, jax.random.key(0)))

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
    params, stats = params or {}, dict(stats or {})
    latent = x
    if self.transform is not None:
      hp = resolve(self.transform_hp, mode)
      x, stats = self.transform.apply(x, params, stats, mode, **hp)
    if self.is_float:
      return Quantized((Term(x),), surrogate=x), stats
    hp = resolve(self.estimator_hp, mode)
    own = {} if mode.deployed and self.estimator.training_only else params
    seen = latent if self.measure == "latent" else x
    scale, stats, ready = self._measured(seen, params, stats, mode, hp)
    kind = self.kind
    full = scale
    if scale is not None and kind.group > 1:
      full = jnp.repeat(scale, kind.group, axis=-2)
    factor = 1.0 if full is None else full
    value = self.estimator.value(x, factor, own, **hp)
    surrogate = self._surrogate(x, factor, own, hp)
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

  def _measured(self, x, params, stats, mode, hp):
    """Scale of the grid (or `None`), new statistics, readiness."""
    measure = 1.0
    ready = True
    if self.scale is not None:
      if self._gradient != "full":
        x = jax.lax.stop_gradient(x)
      scale_hp = resolve(self.scale_hp, mode)
      got = self.scale.measure(x, params, stats, mode, **scale_hp)
      measure, stats, ready = got.scale, got.stats, got.ready
    if self.estimator.step is not None:
      hp = self.estimator.hyper(**hp)
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

  def _surrogate(self, x, factor, params, hp):
    """The dequantized tensor with the method's backward rule."""
    if self._gradient == "none":
      return self.estimator(x, scale=factor, params=params, **hp)
    if self._gradient == "multiply":
      factor = jax.lax.stop_gradient(factor)
    y = self.estimator(x, params=params, **hp)
    return (y * factor).astype(x.dtype)

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
      `"float"` mean no binarization, `"standardize > float"` a transform alone.
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
    method = registry.get("method", spec.strip())
    preset = getattr(method, role)
    spec, options = preset.spec, {**dict(preset.options), **options}
    if role == "weight":
      options = {"output": method.output, "grad": method.grad, **options}
    if spec is None:
      return None
  head, _, scale = spec.partition("|")
  transform, _, estimator = head.rpartition(">")
  parts: dict[str, Any] = {}
  if estimator.strip() == "float":
    parts["estimator"], estimator = FLOAT, ""
  for kind, text in (
    ("transform", transform),
    ("estimator", estimator),
    ("scale", scale),
  ):
    if text.strip():
      also = registry.registered("method") if kind == "estimator" else ()
      parts[kind], parts[f"{kind}_hp"] = spec_lib.part(kind, text, spec, also)
  if "estimator" not in parts:
    raise ValueError(f"Spec {spec!r} names no estimator.")
  return Binarizer(role=role, **parts, **options)


def _joined(old: Variables, new: Variables) -> Variables:
  assert not old.keys() & new.keys(), f"Two variables {old.keys() & new.keys()}"
  return {**old, **new}
