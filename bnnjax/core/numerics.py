"""Numbers that break a formula: integers, 0 and NaN.

`sign` gives one of two values at 0, `divisor` is never 0, and `pass_nan` keeps
NaN: a comparison makes a number of it, and nothing after a sign could see that
the input was broken. `pass_nan` guards the unpacked network; a packed network
holds no NaN and does no such work. Hence the guard is a primitive, which
`bnnjax.cost` does not count, instead of a `where`, which would count as work of
the network.
"""

import jax
import jax.numpy as jnp
import numpy as np
from jax.extend.core import Primitive
from jax.interpreters import ad, batching, mlir


def as_float(x: jax.Array) -> jax.Array:
  """Converts integers and bools to float32; floats stay as they are.

  Raises:
    TypeError: complex numbers, or no numbers at all.
  """
  x = jnp.asarray(x)
  if jnp.issubdtype(x.dtype, jnp.floating):
    return x
  if x.dtype == bool or jnp.issubdtype(x.dtype, jnp.integer):
    return x.astype(jnp.float32)
  raise TypeError(f"Real numbers are binarized, got an array of {x.dtype}.")


def divisor(scale: jax.Array | float) -> jax.Array | float:
  """The scale, with the smallest normal number in the place of 0.

  The scale of a dead channel is 0, and formulas divide by it: 0 / 0 is NaN.
  Subnormal numbers count as 0, as in the arithmetic of XLA.
  """
  if isinstance(scale, (int, float)):
    return scale or float(jnp.finfo(jnp.float32).tiny)
  scale = as_float(scale)
  tiny = jnp.finfo(scale.dtype).tiny
  return jnp.where(jnp.abs(scale) < tiny, tiny, scale)


pass_nan_p = Primitive("pass_nan")


def _guarded(value, x):
  return jnp.where(jnp.isnan(x), x, value)


pass_nan_p.def_impl(jax.jit(_guarded))


@pass_nan_p.def_abstract_eval
def _abstract_eval(value, x):
  del x
  return value


def _jvp(primals, tangents):
  return pass_nan_p.bind(*primals), tangents[0]


ad.primitive_jvps[pass_nan_p] = _jvp
batching.defbroadcasting(pass_nan_p)
mlir.register_lowering(
  pass_nan_p, mlir.lower_fun(_guarded, multiple_results=False)
)


def pass_nan(value: jax.Array, x: jax.Array) -> jax.Array:
  """`value`, but NaN where `x` is NaN; the gradient is that of `value`.

  Args:
    value: result of a formula of `x`, `[...]`.
    x: `[...]` of the same shape and dtype.

  Example:
    >>> x = jnp.array([jnp.nan, -2.0])
    >>> pass_nan(jnp.where(x >= 0, 1.0, -1.0), x)
    [nan -1.]

  Raises:
    ValueError: another shape or dtype.
  """
  if value.shape != x.shape or value.dtype != x.dtype:
    raise ValueError(
      f"A formula gives a value for each number: got {value.dtype}"
      f"{list(value.shape)} for {x.dtype}{list(x.shape)}."
    )
  return pass_nan_p.bind(value, x)


def sign(x: jax.Array, at_zero: int = 1) -> jax.Array:
  """Sign with a chosen value at zero, +1 unless told otherwise.

  Args:
    x: `[...]`.
    at_zero: +1, -1 or 0. The last two reproduce the vectors of other code; 0
      does not fit into one bit.

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
