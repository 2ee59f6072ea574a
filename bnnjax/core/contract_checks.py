"""Checks of the numbers of an estimator: values, slopes, dtypes, scale.

Each takes a `Subject` and returns a `Finding`. `bnnjax.core.check` runs them,
and reports an exception as what was found.
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from bnnjax.core import registry
from bnnjax.core.contract_subject import (
  DTYPES,
  EXTREMES,
  POINTS,
  STEPS,
  Subject,
  at,
)
from bnnjax.core.estimator import SIGN
from bnnjax.core.progress import DEPLOYED, Mode

NEAR = 1e-3  # within the shortest period of a periodic estimator (BiPer)
RUN = (0, STEPS // 2, STEPS - 1)  # steps at which gradients are taken


class Finding(NamedTuple):
  """Whether a check passed (`None`: it does not apply), and what was found."""

  passed: bool | None
  found: str


def passed(found: str) -> Finding:
  return Finding(True, found)


def wrong(found: str) -> Finding:
  return Finding(False, found)


def skipped(why: str) -> Finding:
  return Finding(None, why)


def runs(s: Subject) -> Finding:
  """Forward, training and gradient of an ordinary tensor."""
  s.dequantized(s.x)
  y, dx, dparams = s.differentiated(s.x, s.variables[0], at(0))
  with_params = f", gradients of {', '.join(dparams)}" if dparams else ""
  return passed(
    f"output {list(y.shape)}, gradient {list(dx.shape)}{with_params}"
  )


def alphabet(s: Subject) -> Finding:
  """Every value is declared; they are not all the same, nor fall at 0."""
  if s.made.is_float:
    return skipped("the tensor stays float")
  if s.made.is_soft:
    return skipped("soft values by its hyper-parameters: they have no width")
  width, levels = s.made.kind.bits, s.made.grid
  points = np.concatenate([np.ravel(s.x), EXTREMES])
  seen = [np.unique(s.value(x)) for d in DTYPES for x in s.filled(points, d)]
  if levels is None:  # more whole numbers than it may have values
    whole = np.arange(-(2**width), 2**width) if width < 12 else ()
    seen += [np.unique(s.value(x)) for x in s.filled(whole, jnp.float32)]
  quantized = s.made.apply(s.x, *s.variables, DEPLOYED)[0]
  seen += [np.unique(term.value) for term in quantized.terms]
  values = np.unique(np.concatenate(seen))
  if levels is None:
    outside = [v for v in values if not float(v).is_integer()]
  else:
    outside = [v for v in values if v not in levels]
  if outside:
    return wrong(f"also {_numbers(outside)}, outside {_levels(levels, width)}")
  if levels is None and len(values) > 2**width:
    return wrong(f"{len(values)} different values for {width} bits")
  if len(values) < 2:
    return wrong(f"{_numbers(values)} for every input")
  low, high = (
    s.value(jnp.full(s.shape, x, jnp.float32)) for x in (-NEAR, NEAR)
  )
  if (low > high).any():
    return wrong(
      f"{low.max():g} below 0 and {high.min():g} above: it is reversed"
    )
  return passed(_numbers(values))


def _numbers(values: Any) -> str:
  shown = ", ".join(f"{float(v):.6g}" for v in values[:6])
  return shown if len(values) <= 6 else f"{shown}, ... ({len(values)} values)"


def _levels(levels: Any, width: int) -> str:
  if levels is None:
    return f"the whole numbers of {width} bits"
  return f"{{{_numbers(list(levels))}}}"


def zero(s: Subject) -> Finding:
  """0 and -0 have the sign +1, or that of `at_zero`."""
  levels = s.estimator.alphabet
  if s.made.is_float or levels is None or set(levels) != set(SIGN):
    return skipped("the alphabet is not {-1, +1}")
  if s.made.is_soft:
    return skipped("soft values by its hyper-parameters")
  want = s.hyper().get("at_zero", 1) or 1  # 0 does not fit into one bit
  for dtype in DTYPES:
    for x in s.filled([0.0, -0.0], dtype):
      given, got = np.asarray(x, np.float32), s.value(x)
      for v in got[(given == 0) & (got != want)]:
        return wrong(f"{v:g} at 0 ({jnp.dtype(dtype).name}), not {want:+d}")
  return passed(f"{want:+d} at 0 and -0")


def finite_slope(s: Subject) -> Finding:
  """Gradients are finite at 0, at subnormal and at large numbers, not all 0."""
  run = [Mode.training(at(step)) for step in RUN]
  if not s.made.is_float:
    for dtype in DTYPES:
      for x in s.filled((*EXTREMES, *POINTS), dtype):
        follows = s.made.annealed and dtype == jnp.float32
        for mode in (DEPLOYED, *(run if follows else ())):
          dx = np.asarray(s.slope(x, mode), np.float32)
          if (bad := ~np.isfinite(dx)).any():
            where = float(np.asarray(x, np.float32)[bad][0])
            return wrong(f"{dx[bad][0]} at {where:g} ({x.dtype})")
  trains = False
  for name, x in (("a tensor", s.x), ("zeros", jnp.zeros_like(s.x))):
    for step in RUN:
      y, dx, dparams = s.step(x, s.variables[0], at(step))
      if not np.all(np.isfinite(y)):
        return wrong(f"the output is not finite, given {name}, at step {step}")
      trains = trains or np.any(dx)
      for part, d in {"the tensor": dx, **dparams}.items():
        if not np.all(np.isfinite(d)):
          return wrong(f"not finite for {part}, given {name}, at step {step}")
  if not trains:
    return wrong("0 everywhere, throughout training")
  return passed("finite at 0, 1e-40, 1e30 and in between")


def shape(s: Subject) -> Finding:
  """Output and gradient have the shape of the tensor."""
  y, dx, dparams = s.differentiated(s.x, s.variables[0], at(0))
  if dx.shape != s.x.shape:
    return wrong(f"gradient {list(dx.shape)} for {list(s.x.shape)}")
  for key, p in s.variables[0].items():
    if dparams[key].shape != p.shape:
      return wrong(f"gradient {list(dparams[key].shape)} of {key!r}")
  # A transform may hash the last axis: only the estimator has to keep it.
  if not s.made.is_float:
    value = s.value(s.x)
    if value.shape != s.x.shape:
      return wrong(f"values {list(value.shape)} for {list(s.x.shape)}")
  if s.made.transform is None and y.shape != s.x.shape:
    return wrong(f"output {list(y.shape)} for {list(s.x.shape)}")
  return passed(f"{list(s.x.shape)}")


def scale(s: Subject) -> Finding:
  """Values, slope and output depend on the scale as they should."""
  est, made = s.estimator, s.made
  if made.is_float:
    return skipped("a float tensor has no scale")
  hp, own, four = s.hyper(), s.own, jnp.asarray(4.0)
  value = est.value(s.x, four, own, **hp)
  y = est(s.x, scale=four, params=own, **hp)
  if not np.array_equal(y, 4 * np.asarray(value)):
    return wrong("with a scale of 4 the output is not 4 times the values")
  # A grid is one of steps: nothing changes with the unit of tensor and step.
  of_steps = est.alphabet is None or "scale" in est.forward_takes
  in_steps, scaled = s.value(s.x, jnp.ones(())), s.value(4 * s.x, four)
  if of_steps and not np.array_equal(in_steps, scaled):
    return wrong("other values for (4x, scale 4) than for (x, scale 1)")
  if "scale" in est.slope_takes and np.array_equal(
    s.slope(s.x, DEPLOYED, 1.0), s.slope(s.x, DEPLOYED, 1 / 16)
  ):
    return wrong("the slope takes `scale`, and is the same for 1 and 1/16")
  if made.scale is None:
    return passed("follows a scale of 4")
  return _measured(s)


def _measured(s: Subject) -> Finding:
  """A scale that is neither trained nor `fixed` measures the tensor."""
  own = s.made.scale
  if own.init is None and own is not registry.get("scale", "fixed"):
    zeros, hp = jnp.zeros_like(s.x), dict(s.made.scale_hp)
    found = [
      own.measured(x, {}, {}, DEPLOYED, None, hp).scale
      for x in (s.x, 4 * s.x, zeros)
    ]
    if all(np.array_equal(found[0], other) for other in found[1:]):
      return wrong(f"the scale {own.name!r} is the same for x, 4 x and 0")
    if any(np.any(np.asarray(scale) < 0) for scale in found):
      return wrong(f"the scale {own.name!r} is negative, which flips signs")
  return passed(f"follows a scale of 4 and {own.name!r}")


def parameters(s: Subject) -> Finding:
  """Every trained parameter gets a gradient in training."""
  params = s.variables[0]
  if not params:
    return skipped("it has none")
  found = [s.step(s.x, params, at(step))[2] for step in RUN]
  dead = [k for k in params if not any(np.any(d[k]) for d in found)]
  inert = set(dead) & set(s.made.training_only_names(s.x))
  if inert and not _rests(s, inert):
    inert = set()
  if dead := [k for k in dead if k not in inert]:
    return wrong(f"the gradient of {dead[0]!r} is 0 throughout training")
  return passed(f"gradients of {', '.join(params)}")


def _rests(s: Subject, names: set[str]) -> bool:
  """Whether parameters have a gradient once no factor before them is 0."""
  hp = s.estimator.hyper(**s.hyper())
  off = {k: 1.0 for k, v in hp.items() if isinstance(v, float) and v == 0}
  if not off:
    return False

  def total(params):
    return jnp.sum(s.estimator(s.x, params=params, **{**hp, **off}))

  grads = jax.grad(total)(s.variables[0])
  return all(np.any(grads[name]) for name in names)


def nan(s: Subject) -> Finding:
  """NaN stays NaN, and does not become a value."""
  where = min(2, s.x.size - 1)
  y = s.dequantized(s.x.ravel().at[where].set(jnp.nan).reshape(s.shape))
  if y.shape != s.x.shape:
    broken = np.isnan(y).any()
  else:
    broken = np.isnan(np.ravel(y)[where])
  return passed("NaN for NaN") if broken else wrong("a number for NaN")


def batch(s: Subject) -> Finding:
  """A deployed example does not depend on the others of its batch."""
  if s.made.role != "act":
    return skipped("weights have no batch")
  if len(s.shape) < 2 or s.shape[0] < 2:
    return skipped("the tensor holds one example")
  alone = s.x.at[1:].set(3 * s.x[1:][::-1] + 7)
  first, other = s.dequantized(s.x)[0], s.dequantized(alone)[0]
  if not np.allclose(first, other, rtol=1e-5, atol=1e-6):
    return wrong("the first example changes with the others of its batch")
  return passed("an example is the same in any batch")


def sizes(s: Subject) -> Finding:
  """Empty batches and single numbers keep their shape, or are refused."""
  if s.made.role != "act":
    return skipped("weights are neither")
  if len(s.shape) < 2:
    return skipped("the tensor holds one example")
  empty = jax.ShapeDtypeStruct((0, *s.shape[1:]), jnp.float32)
  y = jax.eval_shape(s.dequantized, empty)
  if y.shape[0]:
    return wrong(f"{list(y.shape)} for {list(empty.shape)}")
  number, hp = jax.ShapeDtypeStruct((), jnp.float32), s.hyper()
  try:
    one = jax.eval_shape(lambda x: s.estimator(x, **hp), number)
  except Exception as error:  # some formulas need an axis
    return passed(f"a number without axes is refused: {type(error).__name__}")
  if one.shape:
    return wrong(f"{list(one.shape)} for a number without axes")
  return passed("empty batches and numbers keep their shape")
