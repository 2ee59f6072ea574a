"""Estimators: an alphabet in the forward pass, a surrogate in the backward.

An estimator maps a latent tensor to low-bit *values*. Its backward rule gives
the gradient of the latent tensor when `dy` is the cotangent of the dequantized
tensor `value * scale`. It has one of two forms:

* an elementwise slope `g(x)`: backward `dy * g(x)`. The decorator `estimator`
  makes it; the forward pass is the sign unless `forward=` is given;
* a full rule `rule(x, scale, dy, **hp) -> dx` for the few that need more; with
  trained parameters, `rule(x, scale, dy, params, **hp) -> (dx, dparams)`.

Both run through one `jax.custom_vjp`, whose operands are the parameters and the
floating-point hyper-parameters: an annealed one may be traced, and changing it
does not retrace.
"""

import dataclasses
import functools
from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp

from bnnjax.core import registry, signature
from bnnjax.core.decorators import decorate
from bnnjax.core.hyper import Choice
from bnnjax.core.numerics import as_float, divisor, pass_nan, sign

SIGN = (-1, 1)
Parameters = dict[str, jax.Array]
_READ = dataclasses.field(init=False, repr=False, compare=False)


def _arguments(formula: Callable | None) -> frozenset[str]:
  """Names of the arguments of a formula; none where there is no formula."""
  return frozenset(() if formula is None else signature.of(formula))


def _taken(
  takes: frozenset[str], **offered: Callable[[], Any]
) -> dict[str, Any]:
  """What a formula takes of what is offered; nothing else is computed."""
  return {name: make() for name, make in offered.items() if name in takes}


@dataclasses.dataclass(frozen=True)
class Estimator(registry.Pickled, kind="estimator"):
  """Forward values and backward rule of one binarization.

  Attributes:
    name: as registered.
    alphabet: values of the forward pass; `None` for a grid of `bits` bits.
    slope: `g(x, [scale], **hp)`, same shape as `x`; or `None` with `rule`.
    rule: `(x, scale, dy, **hp) -> dx`; or `None` with `slope`.
    forward: `(x, [params], *, [scale], [hp]) -> value`; `None` for the sign.
    bits: width of the values, an int or a function of the hyper-parameters.
    scale_slope: `(x, [scale], [value], **hp)`, the elementwise derivative of
      the dequantized tensor with respect to the scale, for a learned step with
      a rule of its own (`Binarizer.gradient="estimator"`); or `None`.
    step: `(bound, **hp) -> scale`, turns what the scale measures into the step
      of this grid (an int4 grid has 7 steps to its bound); `None`: no change.
    init: `(x, key, **hp) -> params`, trained parameters; `x` may be abstract.
    training_only: whether the deployed network has no parameters.
    grid: `(**hp) -> range` of the values where there is no alphabet.
    deployed: hyper-parameters at the end of a run; with other values of these
      the tensor is not in the alphabet and carries no bit-width.
    defaults: hyper-parameters and their defaults (the paper's).
    forward_takes, slope_takes, scale_slope_takes: argument names of these
      formulas, set at construction. An argument in [brackets] is passed to
      those that name it.
  """

  name: str
  alphabet: tuple[int, ...] | None
  slope: Callable[..., jax.Array] | None = None
  rule: Callable[..., jax.Array] | None = None
  forward: Callable[..., jax.Array] | None = None
  bits: int | Callable[..., int] = 1
  scale_slope: Callable[..., jax.Array] | None = None
  step: Callable[..., jax.Array] | None = None
  init: Callable[..., Parameters] | None = None
  training_only: bool = False
  grid: Callable[..., range] | None = None
  deployed: tuple[tuple[str, Any], ...] = ()
  defaults: Mapping[str, Any] = dataclasses.field(
    default_factory=dict, hash=False
  )
  __doc__: str | None = dataclasses.field(default=None, hash=False)
  forward_takes: frozenset[str] = _READ
  slope_takes: frozenset[str] = _READ
  scale_slope_takes: frozenset[str] = _READ

  def __post_init__(self):
    declare = functools.partial(object.__setattr__, self)
    declare("forward_takes", _arguments(self.forward))
    declare("slope_takes", _arguments(self.slope))
    declare("scale_slope_takes", _arguments(self.scale_slope))

  def hyper(self, **given: Any) -> dict[str, Any]:
    """Defaults overridden by `given`.

    Raises:
      ValueError: an unknown name, or a value that its rule does not allow.
    """
    given = registry.check_hyper("estimator", self, given)
    return {**self.defaults, **given}

  def width(self, hp: Mapping[str, Any]) -> int:
    """Bits of a value."""
    return self.bits(**hp) if callable(self.bits) else self.bits

  def value(
    self,
    x: jax.Array,
    scale: jax.Array | float = 1.0,
    params: Parameters | None = None,
    **hp,
  ):
    """Forward values of `x` for a grid with this scale, without gradient.

    NaN stays NaN, whatever the formula does, and is never read as a sign.
    """
    x, params = jax.lax.stop_gradient((as_float(x), params or {}))
    hp = self.hyper(**hp)
    if self.forward is None:
      return sign(x, hp.get("at_zero", 1))
    given = {k: hp[k] for k in hp if k in self.forward_takes}
    given |= _taken(
      self.forward_takes, params=lambda: params, scale=lambda: divisor(scale)
    )
    return pass_nan(self.forward(x, **given).astype(x.dtype), x)

  def __call__(
    self,
    x: jax.Array,
    *,
    scale: jax.Array | float = 1.0,
    params: Parameters | None = None,
    scaled: bool = True,
    **hp,
  ):
    """Dequantized tensor `value * scale` with the surrogate gradient.

    Args:
      x: latent tensor `[...]`.
      scale: factor of the values, broadcast against `x`. It does not affect the
        gradient of `x`; its own gradient comes from `scale_slope` alone.
      params: what `init` returned, trained since.
      scaled: whether the result includes the scale. If not, it is `value` with
        the same gradient of `x`, and the caller multiplies.
      **hp: hyper-parameters of this estimator.

    Returns:
      `[...]`, dtype of `x`.

    Raises:
      ValueError: unknown hyper-parameter.
    """
    x, hp = as_float(x), self.hyper(**hp)
    traced = {k: v for k, v in hp.items() if isinstance(v, (float, jax.Array))}
    static = tuple((k, v) for k, v in hp.items() if k not in traced)
    if self.scale_slope is None or not scaled:
      scale = jax.lax.stop_gradient(scale)
    return _surrogate(self, static, scaled, x, scale, traced, params or {})


@functools.partial(jax.custom_vjp, nondiff_argnums=(0, 1, 2))
def _surrogate(est: Estimator, static, scaled, x, scale, traced, params):
  value = est.value(x, scale, params, **dict(static), **traced)
  return (value * scale).astype(x.dtype) if scaled else value


def _surrogate_fwd(est, static, scaled, x, scale, traced, params):
  y = _surrogate(est, static, scaled, x, scale, traced, params)
  return y, (x, scale, traced, params)


def _surrogate_bwd(est, static, scaled, residuals, dy):
  x, scale, traced, params = residuals
  hp = {k: v for k, v in (*static, *traced.items()) if k != "at_zero"}
  dparams = dscale = None
  offered = {"params": lambda: params, "scale": lambda: divisor(scale)}
  if est.rule is None:
    dx = dy * est.slope(x, **_taken(est.slope_takes, **offered), **hp)
  elif est.init is None:
    dx = est.rule(x, divisor(scale), dy, **hp)
  else:
    dx, dparams = est.rule(x, divisor(scale), dy, params, **hp)
    dparams = jax.tree.map(lambda d, p: d.astype(p.dtype), dparams, params)
  if est.scale_slope is not None and scaled:
    offered["value"] = lambda: est.value(
      x, scale, params, **dict(static), **traced
    )
    own = _taken(est.scale_slope_takes, **offered)
    each = dy * est.scale_slope(x, **own, **hp)
    spread = lambda s: jnp.broadcast_to(s, x.shape)  # noqa: E731
    (dscale,) = jax.linear_transpose(spread, scale)(each.astype(scale.dtype))
  return dx.astype(x.dtype), dscale, None, dparams


_surrogate.defvjp(_surrogate_fwd, _surrogate_bwd)


# The identity: a transform without a binarization.
FLOAT = Estimator("float", None, lambda x: jnp.ones_like(x), bits=32)


def estimator(
  named: Callable[..., jax.Array] | str | None = None,
  /,
  *,
  alphabet: tuple[int, ...] | None = SIGN,
  bits: int | Callable[..., int] = 1,
  forward: Callable[..., jax.Array] | None = None,
  scale_slope: Callable[..., jax.Array] | None = None,
  step: Callable[..., jax.Array] | None = None,
  full_rule: bool = False,
  init: Callable[..., Parameters] | None = None,
  training_only: bool = False,
  grid: Callable[..., range] | None = None,
  deployed: Mapping[str, Any] | None = None,
) -> Any:
  """Turns a surrogate derivative into a registered estimator.

  The decorated function is `slope(x, *, hp=default, ...)`, with a keyword
  `scale` if it needs it. With `full_rule` it is the whole backward rule,
  `rule(x, scale, dy, *, hp=default, ...)`, and with `init` also
  `rule(x, scale, dy, params, *, hp=default, ...)`.

  Args:
    named: the name, if it is not that of the function, see `core.decorators`.
    full_rule: see above.
    alphabet, bits, scale_slope, step: fields of `Estimator`.
    init, training_only, grid, deployed: fields of `Estimator`.
    forward: a field of `Estimator`. The sign has a hyper-parameter `at_zero`;
      so has another `forward` that names this keyword.

  Example:
    >>> @estimator
    ... def triangle(x, *, width=1.0):
    ...   return jnp.maximum(0, 1 - jnp.abs(x) / width)
    >>> jax.grad(lambda x: triangle(x, width=2.0).sum())(jnp.array([1.0]))
    [0.5]
  """

  def make(function, name):
    read = signature.of(function)
    free = [key for key, argument in read.items() if not argument.by_name]
    if not free or (len(free) > 1 and not full_rule):
      raise TypeError(
        f"Estimator {name!r} takes the tensor, and hyper-parameters after a"
        f" `*`: got the arguments ({', '.join(read)})."
      )
    defaults = registry.defaults_of(function)
    defaults.pop("scale", None)
    for key, default in defaults.items():
      if default is signature.REQUIRED:
        raise TypeError(
          f"Hyper-parameter {key!r} of estimator {name!r} needs a default (the"
          " paper's value)."
        )
    if forward is None or "at_zero" in _arguments(forward):
      defaults["at_zero"] = 1
      defaults.rules["at_zero"] = Choice((1, -1, 0))
    made = Estimator(
      name=name,
      alphabet=alphabet,
      slope=None if full_rule else function,
      rule=function if full_rule else None,
      forward=forward,
      bits=bits,
      scale_slope=scale_slope,
      step=step,
      init=init,
      training_only=training_only,
      deployed=tuple((deployed or {}).items()),
      grid=grid,
      defaults=defaults,
      __doc__=function.__doc__,
    )
    return registry.register("estimator", name, origin=function)(made)

  return decorate(make, named)
