"""A binarizer: transform, estimator and scale; `bnnjax.core.spec` reads one."""

import dataclasses
import functools
from fractions import Fraction
from typing import Any

import jax
import jax.numpy as jnp

from bnnjax.core import binarizer_check
from bnnjax.core import bits as bits_lib
from bnnjax.core.estimator import FLOAT, Estimator
from bnnjax.core.numerics import as_float
from bnnjax.core.progress import DEPLOYED, Mode
from bnnjax.core.quantized import Quantized, Term, as_quantized
from bnnjax.core.scale import Measured, Scale, Variables, of_masked
from bnnjax.core.schedule import Annealed, resolve
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
      (detached, multiplies dx: larq), `"full"` (differentiated: learned
      scales, ReSTE) or `"estimator"` (by the estimator's own rule: learned
      steps). `None` takes the scale's default.
    measure: the scale sees the `"latent"` or the `"transformed"` tensor.
    start: when training starts to quantize: a fraction of the run (float) or a
      step (int); tags describe the network after it.
    role: `"weight"` or `"act"`.
    tag: whether values carry their bit-width; it changes nothing but the count.
    latent: whether a float weight stands behind the binary one; if not, the
      optimizer flips it (Bop).
    method: name of the method whose preset it is; the layer that owns it asks
      the method for its own part (`core.method.layer_options`).
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
  method: str | None = dataclasses.field(default=None, compare=False)

  def __post_init__(self):
    binarizer_check.check(self)

  @property
  def is_float(self) -> bool:
    """Whether values stay float (Weight Standardization alone)."""
    return self.estimator is FLOAT

  @functools.cached_property
  def is_soft(self) -> bool:
    """Whether values are outside the alphabet even at the end of the run.

    They then carry no bit-width: BiPer's first stage alone, e.g., is a float
    network.
    """
    end = resolve(self.estimator_hp, DEPLOYED)
    wanted = self.estimator.deployed
    return any(float(end.get(name, v)) != v for name, v in wanted)

  @property
  def annealed(self) -> bool:
    """Whether a hyper-parameter follows a schedule."""
    pairs = (*self.estimator_hp, *self.scale_hp, *self.transform_hp)
    return any(isinstance(value, Annealed) for _, value in pairs)

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

  @property
  def grid(self) -> "tuple[int, ...] | range | None":
    """The values in units of the scale; `None` if undeclared."""
    if self.estimator.grid is None:
      return self.estimator.alphabet
    return self.estimator.grid(
      **self.estimator.hyper(**dict(self.estimator_hp))
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
    mask: jax.Array | None = None,
    density: Fraction = Fraction(1),
  ) -> tuple[Quantized, Variables]:
    """Quantizes `x`.

    Args:
      x: latent tensor `[...]`.
      params: what `init` gave, trained since.
      stats: what `init` gave, updated since.
      mode: on whose behalf; training updates statistics.
      mask: {0, 1}, broadcasts against `x`: the elements that the term has. A
        measured scale is then that of these elements.
      density: share of the elements that the mask keeps, as the cost counter
        is told.

    Returns:
      The low-bit tensor and the new statistics.

    Raises:
      ValueError: a mask beside a scale that rounds what it measures.
    """
    params, stats = params or {}, dict(stats or {})
    latent = x = as_float(x)
    if self.transform is not None:
      hp = resolve(self.transform_hp, mode)
      x, stats = self.transform.apply(x, params, stats, mode, **hp)
    if self.is_float:
      return _float_term(x, mask, density, self.role), stats
    hp = resolve(self.estimator_hp, mode)
    own = {} if self.estimator.training_only and mode.deployed else params
    seen = latent if self.measure == "latent" else x
    got = self._measured(seen, params, stats, mode, hp, mask)
    scale, shift = got.scale, got.shift
    kind = self.kind
    if mask is not None:
      kind = dataclasses.replace(kind, density=density)
    full = scale
    if scale is not None and kind.group > 1:
      full = jnp.repeat(scale, kind.group, axis=-2)
    factor = 1.0 if full is None else full
    value = self.estimator.value(x, factor, own, **hp)
    surrogate = self._surrogate(x, factor, own, hp)
    if shift is not None:
      surrogate = (surrogate + shift).astype(x.dtype)
      shift = jax.lax.stop_gradient(shift)
    on = self._on(mode, got.ready)
    if on is not True:
      value = jnp.where(on, value, jax.lax.stop_gradient(x))
      surrogate = jnp.where(on, surrogate, x)
      scale = None if scale is None else jnp.where(on, scale, 1)
      shift = None if shift is None else jnp.where(on, shift, 0)
    if mask is not None:
      surrogate = surrogate * mask.astype(surrogate.dtype)
    if self.is_soft:
      if scale is not None and kind.group > 1:
        scale = jnp.repeat(scale, kind.group, axis=-2)
      kind = None
    elif self.tag:
      value = bits_lib.tag(value, kind, role=self.role)
      if scale is not None and self.role == "weight":
        scale = bits_lib.stored(scale, latent)
    if scale is not None:
      scale = jax.lax.stop_gradient(scale)
    term = Term(value, scale, mask, kind)
    return Quantized((term,), shift, surrogate), got.stats

  def transformed(self, x, params: Variables, stats: Variables) -> jax.Array:
    """What the transform makes of `x` in the deployed network."""
    if self.transform is None:
      return x
    hp = resolve(self.transform_hp, DEPLOYED)
    return self.transform.apply(x, params, stats, DEPLOYED, **hp)[0]

  def learn(
    self,
    event: str,
    x: jax.Array,
    params: Variables,
    stats: Variables,
    mode: Mode,
  ) -> tuple[Variables, Variables]:
    """Variables set from `x` at a loop event: first steps, learned hashes."""
    if self.transform is not None:
      hp = resolve(self.transform_hp, mode)
      if event in self.transform.learns:
        learn = self.transform.learns[event]
        params, stats = learn(x, params, stats, mode, **hp)
      x, stats = self.transform.apply(x, params, stats, mode, **hp)
    if self.scale is not None and event in self.scale.learns:
      hp = resolve(self.scale_hp, mode)
      learn = self.scale.learns[event]
      params, stats = learn(x, params, stats, mode, **hp)
    return params, stats

  @property
  def learns(self) -> frozenset[str]:
    """Loop events that `learn` takes part in."""
    parts = (p for p in (self.transform, self.scale) if p is not None)
    return frozenset(name for part in parts for name in part.learns)

  def __call__(self, x: jax.Array, mode: Mode = DEPLOYED) -> jax.Array:
    """Dequantized `x`, for binarizers without parameters or statistics."""
    return self.apply(x, *self.init(x), mode)[0].dequantize()

  def _measured(self, x, params, stats, mode, hp, mask=None) -> Measured:
    """What the scale says, its measure turned into the scale of the grid."""
    got = Measured(None, stats)
    if self.scale is not None:
      if self.scale_gradient != "full":
        x = jax.lax.stop_gradient(x)
      measure = functools.partial(
        self.scale.measure, **resolve(self.scale_hp, mode)
      )
      trained = self.scale.init is not None and self.scale.group is None
      if mask is None or trained:
        got = measure(x, params, stats, mode)
      else:
        got = self._masked_measure(measure, x, stats, mode, mask)
    if self.estimator.step is not None:
      hp = self.estimator.hyper(**hp)
      hp.pop("at_zero", None)
      measure = jnp.asarray(1.0 if got.scale is None else got.scale)
      step = self.estimator.step(measure, **hp)
      got = dataclasses.replace(got, scale=step)
    return got

  def _masked_measure(self, measure, x, stats, mode, mask) -> Measured:
    """The measure of the elements under a mask, see `core.scale.of_masked`."""
    if dict(self.scale_hp).get("pow2"):
      raise ValueError(
        f"The scale {self.scale.name!r} with `pow2` rounds what it measures,"
        " which is not defined under a mask: leave out `pow2`."
      )
    scale = of_masked(lambda x: measure(x, {}, stats, mode).scale, x, mask)
    return Measured(scale, stats)

  @property
  def scale_gradient(self) -> str:
    """How the scale takes part in the backward pass: own choice or default."""
    if self.gradient is not None:
      return self.gradient
    return "none" if self.scale is None else self.scale.gradient

  def _surrogate(self, x, factor, params, hp):
    """The dequantized tensor with the method's backward rule."""
    fixed = jax.lax.stop_gradient(factor)
    if self.scale_gradient in ("none", "estimator"):
      factor = factor if self.scale_gradient == "estimator" else fixed
      return self.estimator(x, scale=factor, params=params, **hp)
    if self.scale_gradient == "multiply":
      factor = fixed
    y = self.estimator(x, scale=fixed, params=params, scaled=False, **hp)
    return (y * factor).astype(x.dtype)

  def _on(self, mode: Mode, ready):
    """Whether the tensor is quantized: `True`, or a traced bool."""
    if (not self.start and ready is True) or mode.deployed:
      return True
    if self.start and mode.progress is None:
      raise ValueError(
        f"This binarizer starts to quantize at {self.start} of the run: training"
        " needs `Mode.training(progress)`, or `set_progress(model, progress)`"
        " after `model.train()`."
      )
    if not self.start:
      return ready
    return mode.progress.reached(self.start) & ready


def _float_term(x, mask, density: Fraction, role: str) -> Quantized:
  """A float tensor, all of it or what a mask keeps (sparse outliers)."""
  if mask is None:
    return as_quantized(x)
  kind = bits_lib.BitTag(bits_lib.dtype_bits(x.dtype), density=density)
  value = bits_lib.tag(x, kind, role=role)
  masked = x * mask.astype(x.dtype)
  return Quantized((Term(value, None, mask, kind),), surrogate=masked)


def _joined(old: Variables, new: Variables) -> Variables:
  if both := sorted(old.keys() & new.keys()):
    raise ValueError(
      f"Two parts of a binarizer have a variable {both[0]!r}: leave one out, e.g."
      " the transform 'shift' before a scale that has a shift of its own"
      " ('affine')."
    )
  return {**old, **new}
