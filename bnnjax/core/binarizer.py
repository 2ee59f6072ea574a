"""A binarizer: transform, estimator and scale; `core.spec.parse` makes one."""

import dataclasses
import functools
from fractions import Fraction
from typing import Any

import jax
import jax.numpy as jnp

from bnnjax import deprecated
from bnnjax.core import bits as bits_lib
from bnnjax.core.binarizer_check import check, joined
from bnnjax.core.estimator import FLOAT, Estimator
from bnnjax.core.numerics import as_float
from bnnjax.core.progress import DEPLOYED, Mode
from bnnjax.core.quantized import Quantized, Term, float_term
from bnnjax.core.scale import Measured, Scale, Variables
from bnnjax.core.schedule import Annealed, resolve
from bnnjax.core.transform import Transform

ROLES = bits_lib.ROLES


@dataclasses.dataclass(frozen=True)
class Binarizer:
  """Turns a latent tensor into a `Quantized`. Frozen and pure.

  Attributes:
    estimator: alphabet and backward rule.
    scale: float factor of the values; `None` is 1.
    transform: applied to the latent tensor first, and differentiated.
    estimator_hp, scale_hp, transform_hp: their hyper-parameters, as pairs; a
      value may be `Annealed`.
    gradient: how the scale takes part in the backward pass: `"none"` (detached,
      does not affect dx: XNOR-Net, Bi-Real, ReActNet, PokeBNN), `"multiply"`
      (detached, multiplies dx: larq), `"full"` (differentiated: learned
      scales, ReSTE) or `"estimator"` (by the estimator's own rule: learned
      steps). `None` is the default of the scale.
    measure: the scale measures the `"latent"` or the `"transformed"` tensor.
    start: when training starts to quantize: a fraction of the run (float) or a
      step (int). Tags describe the network after it.
    role: `"weight"` or `"act"`.
    tag: whether values carry their bit-width; it changes the count alone.
    latent: whether a float weight stands behind the binary one; if not, the
      optimizer flips it (Bop).
    method: name of the method whose preset this is; the layer asks the method
      for its own options (`core.method.layer_options`).
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
    check(self)

  def __str__(self) -> str:
    """The names of its parts: `"shift > ste | channel_l1"`."""
    transform = f"{self.transform.name} > " if self.transform else ""
    scale = f" | {self.scale.name}" if self.scale else ""
    return f"{transform}{self.estimator.name}{scale}"

  @property
  def is_float(self) -> bool:
    """Whether values stay float (a transform alone)."""
    return self.estimator is FLOAT

  @functools.cached_property
  def is_soft(self) -> bool:
    """Whether values leave the alphabet even at the end of the run.

    They then carry no bit-width (a network of BiPer's first stage alone).
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
    width = self.estimator.width(self._hyper)
    return bits_lib.BitTag(width, self.estimator.alphabet, group=group)

  @property
  def grid(self) -> "tuple[int, ...] | range | None":
    """The values in units of the scale; `None` if undeclared."""
    if self.estimator.grid is None:
      return self.estimator.alphabet
    return self.estimator.grid(**self._hyper)

  @property
  def _hyper(self) -> dict[str, Any]:
    """All hyper-parameters of the estimator; one may be a schedule."""
    return self.estimator.hyper(**dict(self.estimator_hp))

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
    if self.transform is not None and self.transform.init is not None:
      hp = resolve(self.transform_hp, DEPLOYED)
      params, stats = self.transform.init(x, **hp)
    abstract = isinstance(x, jax.ShapeDtypeStruct)
    if self.measure == "transformed" and not abstract:
      x = self.transformed(x, params, stats)
    key = jax.random.key(0) if key is None else key
    if self.scale is not None and self.scale.init is not None:
      own = self.scale.initial(x, key, resolve(self.scale_hp, DEPLOYED))
      params, stats = joined(params, own[0]), joined(stats, own[1])
    if self.estimator.init is not None:
      params = joined(params, self._trained(x, key))
    return params, stats

  def _trained(self, x, key: jax.Array) -> Variables:
    """The trained parameters of the estimator at the start."""
    hp = self.estimator.hyper(**resolve(self.estimator_hp, DEPLOYED))
    return self.estimator.init(x, key, **hp)

  def training_only_names(self, x) -> frozenset[str]:
    """Names of the parameters that the deployed network does not have."""
    if self.estimator.init is None or not self.estimator.training_only:
      return frozenset()
    init = functools.partial(self._trained, x)
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
      params: what `init` returned, trained since.
      stats: what `init` returned, updated since.
      mode: training or deployed; training updates statistics.
      mask: {0, 1}, broadcasts against `x`: the elements of the term. A measured
        scale then measures these elements alone.
      density: share of the elements that the mask keeps, for the cost counter.

    Returns:
      The low-bit tensor and the new statistics.
    """
    params, latent = params or {}, as_float(x)
    x, stats = self._transformed(latent, params, dict(stats or {}), mode)
    if self.is_float:
      return float_term(x, mask, density, self.role), stats
    hp = resolve(self.estimator_hp, mode)
    own = {} if self.estimator.training_only and mode.deployed else params
    seen = latent if self.measure == "latent" else x
    got = self._measured(seen, params, stats, mode, hp, mask)
    scale, shift = got.scale, got.shift
    factor = 1.0 if scale is None else self._per_element(scale)
    value = self.estimator.value(x, factor, own, **hp)
    surrogate = self._surrogate(x, factor, own, hp)
    if shift is not None:
      surrogate = (surrogate + shift).astype(x.dtype)
      shift = jax.lax.stop_gradient(shift)
    on = self._on(mode, got.ready)
    if on is not True:  # a float tensor until then
      value = jnp.where(on, value, jax.lax.stop_gradient(x))
      surrogate = jnp.where(on, surrogate, x)
      scale = None if scale is None else jnp.where(on, scale, 1)
      shift = None if shift is None else jnp.where(on, shift, 0)
    if mask is not None:
      surrogate = surrogate * mask.astype(surrogate.dtype)
    term = self._term(value, scale, mask, density, latent)
    return Quantized((term,), shift, surrogate), got.stats

  def transformed(self, x, params: Variables, stats: Variables) -> jax.Array:
    """What the transform makes of `x` in the deployed network."""
    return self._transformed(x, params, stats, DEPLOYED)[0]

  def apply_event(
    self,
    event: str,
    x: jax.Array,
    params: Variables,
    stats: Variables,
    mode: Mode,
  ) -> tuple[Variables, Variables]:
    """Variables that a loop event sets from `x`, such as first steps."""
    if self.transform is not None and event in self.transform.data_events:
      learn, hp = self.transform.data_events[event], self.transform_hp
      params, stats = learn(x, params, stats, mode, **resolve(hp, mode))
    x, stats = self._transformed(x, params, stats, mode)
    if self.scale is not None and event in self.scale.data_events:
      learn, hp = self.scale.data_events[event], self.scale_hp
      params, stats = learn(x, params, stats, mode, **resolve(hp, mode))
    return params, stats

  @property
  def data_events(self) -> frozenset[str]:
    """Loop events that set variables from a tensor, see `apply_event`."""
    parts = (p for p in (self.transform, self.scale) if p is not None)
    return frozenset(name for part in parts for name in part.data_events)

  def __call__(self, x: jax.Array, mode: Mode = DEPLOYED) -> jax.Array:
    """Dequantized `x`, for binarizers without parameters or statistics."""
    return self.apply(x, *self.init(x), mode)[0].dequantize()

  @property
  def scale_gradient(self) -> str:
    """How the scale takes part in the backward pass: own choice or default."""
    if self.gradient is not None:
      return self.gradient
    return "none" if self.scale is None else self.scale.gradient

  def _transformed(self, x, params, stats, mode):
    """What the transform makes of `x`, and the new statistics."""
    if self.transform is None:
      return x, stats
    hp = resolve(self.transform_hp, mode)
    return self.transform.apply(x, params, stats, mode, **hp)

  def _measured(self, x, params, stats, mode, hp, mask) -> Measured:
    """What the scale measures, a bound turned into the step of the grid."""
    got = Measured(None, stats)
    if self.scale is not None:
      if self.scale_gradient != "full":
        x = jax.lax.stop_gradient(x)
      scale_hp = resolve(self.scale_hp, mode)
      got = self.scale.measured(x, params, stats, mode, mask, scale_hp)
    if self.estimator.step is not None:
      hp = self.estimator.hyper(**hp)
      hp.pop("at_zero", None)
      bound = jnp.asarray(1.0 if got.scale is None else got.scale)
      got = dataclasses.replace(got, scale=self.estimator.step(bound, **hp))
    return got

  def _per_element(self, scale: jax.Array) -> jax.Array:
    """A scale that broadcasts against the tensor, those of groups repeated."""
    group = self.kind.group
    return scale if group <= 1 else jnp.repeat(scale, group, axis=-2)

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
    """Whether the tensor is quantized yet: `True`, or a traced bool."""
    if (not self.start and ready is True) or mode.deployed:
      return True
    if not self.start:
      return ready
    why = f"This binarizer starts to quantize at {self.start} of the run"
    return mode.position(why).reached(self.start) & ready

  def _term(self, value, scale, mask, density, latent) -> Term:
    """Values with their scale and bit-width; soft values have no width."""
    kind = None if self.is_soft else self.kind
    if kind is None:
      scale = None if scale is None else self._per_element(scale)
    elif mask is not None:
      kind = dataclasses.replace(kind, density=density)
    if kind is not None and self.tag:
      value = bits_lib.tag(value, kind, role=self.role)
      if scale is not None and self.role == "weight":
        scale = bits_lib.stored(scale, latent)
    if scale is not None:
      scale = jax.lax.stop_gradient(scale)
    return Term(value, scale, mask, kind)

  # The old names.
  learn = deprecated.renamed("apply_event")
  learns = deprecated.renamed("data_events")
  passing = deprecated.renamed("training_only_names")
