"""NaN for NaN: what binarizers hand on although their formula would lose it.

A comparison makes a number of a NaN, and nothing after a sign could see that
its input was broken. `pass_nan` puts the NaN back. It watches over programs
that run unpacked; a packed network holds no NaN and does nothing of the kind.
Hence the guard is a primitive, which `bnnjax.cost` does not count, instead of a
`where` that would be counted as work of the network.
"""

import jax
import jax.numpy as jnp
from jax.extend.core import Primitive
from jax.interpreters import ad, batching, mlir

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
  """`value`, but NaN where `x` is; the gradient is that of `value`.

  Args:
    value: what a formula makes of `x`, `[...]`.
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
