"""Estimators: an alphabet in the forward pass, a surrogate in the backward.

An estimator maps a latent tensor to low-bit *values*. Its backward rule says
what reaches the latent tensor when `dy` is the cotangent of the dequantized
tensor `value * scale`. Two forms exist:

* an elementwise slope `g(x)`: backward `dy * g(x)`; the decorator `estimator`
  builds it, with the sign in front unless `forward=` says otherwise;
* a full rule `rule(x, scale, dy, **hp) -> dx` for the few that need more; with
  trained parameters it is `rule(x, scale, dy, params, **hp) -> (dx, dparams)`.

Both run through one `jax.custom_vjp`. Parameters and floating-point
hyper-parameters are operands of it, so an annealed one may be traced and never
retraces.
"""

import dataclasses
import functools
from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from bnnjax.core import registry, signature
from bnnjax.core.decorators import decorate
from bnnjax.core.hyper import Choice
from bnnjax.core.numerics import as_float, divisor, pass_nan

SIGN = (-1, 1)


def sign(x: jax.Array, at_zero: int = 1) -> jax.Array:
  """Sign with a chosen value at zero, +1 unless told otherwise.

  Args:
    x: `[...]`.
    at_zero: +1, -1 or 0. The last two exist to reproduce the vectors of other
      code; a 0 does not fit into one bit.

  Returns:
    `[...]` in {-1, +1}, dtype of `x`; NaN for NaN.

  Example:
    >>> sign(jnp.array([-2.0, -0.0, 3.0]))
    [-1.  1.  1.]
  """
  if not isinstance(x, jax.Array):
    x = np.asarray(x)
    if x.dtype.kind not in "iuf" and not jnp.issubdtype(x.dtype, jnp.floating):
      raise TypeError(f"`sign` takes numbers, got {x!r}.")
  x = jnp.asarray(x)
  if not jnp.issubdtype(x.dtype, jnp.number):
    raise TypeError(f"`sign` takes numbers, got an array of {x.dtype}.")
  if at_zero not in (-1, 0, 1):
    raise ValueError(f"`at_zero` must be +1, -1 or 0, got {at_zero!r}.")
  if at_zero == 0:
    return jnp.sign(x)
  one = jnp.ones((), x.dtype)
  value = jnp.where(x >= 0 if at_zero == 1 else x > 0, one, -one)
  return pass_nan(value, x)


Parameters = dict[str, jax.Array]


@dataclasses.dataclass(frozen=True)
class Estimator:
  """Forward values and backward rule of one binarization.

  Attributes:
    name: as registered.
    alphabet: values of the forward pass; `None` for a grid of `bits` bits.
    slope: `g(x, [scale], **hp)`, same shape as `x`; or `None` with `rule`.
    rule: `(x, scale, dy, **hp) -> dx`; or `None` with `slope`.
    forward: `(x, [params], *, [scale], [hp]) -> value`, given what it names;
      `None` for the sign.
    bits: width of the values, an int or a function of the hyper-parameters.
    scale_slope: `(x, [scale], [value], **hp)`, the elementwise derivative of
      the dequantized tensor by the scale, for a learned step with a rule of its
      own (`Binarizer.gradient="estimator"`); or `None`.
    step: `(measure, **hp) -> scale`, what the scale's measurement means for
      this grid (the bound of an int4 grid is 7 steps); `None`: the scale itself.
    init: `(x, key, **hp) -> params`, trained parameters; `x` may be abstract.
    training_only: whether the deployed network leaves the parameters out.
    grid: `(**hp) -> range` of the values where there is no alphabet.
    deployed: values that hyper-parameters have at the end of a run; with others
      the values leave the alphabet, and carry no bit-width.
    defaults: hyper-parameters and their defaults (those of the paper).
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
  # Argument names of each formula: what it asks for beside the tensor.
  _wanted: Mapping[str, frozenset[str]] = dataclasses.field(
    init=False, repr=False, compare=False
  )

  def __post_init__(self):
    formulas = {
      k: getattr(self, k) for k in ("forward", "slope", "scale_slope")
    }
    wanted = {k: frozenset(signature.of(f)) for k, f in formulas.items() if f}
    object.__setattr__(self, "_wanted", wanted)

  def hyper(self, **given: Any) -> dict[str, Any]:
    """Defaults overridden by `given`.

    Raises:
      ValueError: a name that this estimator does not have, or a value that it
        does not take.
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

    NaN for NaN, whatever the formula makes of it, so that nothing after it
    takes a broken number for a sign.
    """
    x, params = jax.lax.stop_gradient((as_float(x), params or {}))
    hp = self.hyper(**hp)
    if self.forward is None:
      return sign(x, hp["at_zero"])
    hp = {k: v for k, v in hp.items() if k in self._wanted["forward"]}
    value = self._call("forward", hp, x, scale, params).astype(x.dtype)
    return pass_nan(value, x)

  def _call(self, formula: str, hp, x, scale, params, **more) -> jax.Array:
    """Calls one of the formulas with what it asks for of scale and params."""
    wanted, own = self._wanted[formula], {"params": params, **more}
    if "scale" in wanted:
      own["scale"] = divisor(scale)
    own = {k: v for k, v in own.items() if k in wanted}
    return getattr(self, formula)(x, **own, **hp)

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
      scale: factor of the values, broadcast against `x`. It does not touch the
        gradient of `x`, and gets one only from `scale_slope`.
      params: what `init` gave, trained since.
      scaled: whether the result holds the scale. If not it is `value` with the
        same gradient of `x`, for a caller who multiplies.
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
  if est.rule is None:
    dx = dy * est._call("slope", hp, x, scale, params)
  elif est.init is None:
    dx = est.rule(x, divisor(scale), dy, **hp)
  else:
    dx, dparams = est.rule(x, divisor(scale), dy, params, **hp)
    dparams = jax.tree.map(lambda d, p: d.astype(p.dtype), dparams, params)
  if est.scale_slope is not None and scaled:
    value = est.value(x, scale, params, **dict(static), **traced)
    each = dy * est._call("scale_slope", hp, x, scale, params, value=value)
    spread = lambda s: jnp.broadcast_to(s, x.shape)  # noqa: E731
    (dscale,) = jax.linear_transpose(spread, scale)(each.astype(scale.dtype))
  return dx.astype(x.dtype), dscale, None, dparams


_surrogate.defvjp(_surrogate_fwd, _surrogate_bwd)


# The identity: what a transform alone makes of a float tensor.
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

  The decorated function is `slope(x, *, hp=default, ...)`, and takes `scale` if
  it needs it; with `full_rule` it is `rule(x, scale, dy, *, hp=default, ...)`,
  with `init` moreover `rule(x, scale, dy, params, *, hp=default, ...)`.

  Args:
    named: the name where it is not the function's, see `core.decorators`.
    alphabet, bits, scale_slope, step, training_only, grid, deployed: fields of
      `Estimator`.
    forward: the values, `None` for the sign (which takes `at_zero=`; another
      function does if it names that keyword).
    full_rule: the function is the whole backward rule.
    init: `(x, key, **hp) -> params`, the trained parameters of a full rule.

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
        f" `*`; got the arguments ({', '.join(read)})."
      )
    defaults = registry.defaults_of(function)
    defaults.pop("scale", None)
    for key, default in defaults.items():
      if default is signature.REQUIRED:
        raise TypeError(
          f"Hyper-parameter {key!r} of estimator {name!r} needs a default (the"
          " paper's value)."
        )
    if forward is None or "at_zero" in signature.of(forward):
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
