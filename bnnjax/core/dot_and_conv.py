"""The low-bit contraction: dot and convolution of `Quantized` operands.

Forward: values are contracted and scales multiply the result, so that the
contraction itself stays low-bit and can be counted and packed. Backward: the
cotangents of the *dequantized* operands go to their surrogates; the binarizer
decides how latent tensor and scale share them. (Multiplying by the scale after
the dot and leaving the rest to autodiff would scale dw, which most papers do
not.)

A scale that varies along the contracted axis cannot leave the contraction. It
moves to the other operand if that is float (FBI-Linear, Bi-Mamba); otherwise it
stays with its own operand, whose tag then has to declare the group.
"""

import functools
from collections.abc import Sequence

import jax
import jax.numpy as jnp
from jax import lax

from bnnjax.core import bits as bits_lib
from bnnjax.core.bilinear import Conv, Dot, Einsum
from bnnjax.core.quantized import Quantized, Term, as_quantized


def dot(
  a: "jax.Array | Quantized",
  w: "jax.Array | Quantized",
  *,
  precision: lax.PrecisionLike = None,
) -> jax.Array:
  """`a w` of low-bit or float operands.

  Args:
    a: `[..., K]`.
    w: `[K, O]`.
    precision: as in `jax.lax.dot_general`.

  Returns:
    `[..., O]`, dtype of `a`; for two float operands their common dtype.
  """
  return contract(Dot(precision), a, w)


def conv(
  a: "jax.Array | Quantized",
  w: "jax.Array | Quantized",
  *,
  strides: Sequence[int] | None = None,
  padding: str | Sequence[tuple[int, int]] = "SAME",
  dilation: Sequence[int] | None = None,
  groups: int = 1,
  precision: lax.PrecisionLike = None,
) -> jax.Array:
  """Convolution of low-bit or float operands, channels last, any rank.

  Args:
    a: `[N, *spatial, C]`.
    w: `[*window, C / groups, O]`.
    strides, dilation: one number per spatial axis; ones by default.
    padding: `"SAME"`, `"VALID"` or pairs; pads with zeros.
    groups: feature groups.
    precision: as in `jax.lax.conv_general_dilated`.

  Returns:
    `[N, *spatial', O]`, dtype as for `dot`.
  """
  ones = (1,) * (len(a.shape) - 2)
  if not isinstance(padding, str):
    padding = tuple(tuple(p) for p in padding)
  op = Conv(
    tuple(strides or ones), padding, tuple(dilation or ones), groups, precision
  )
  return contract(op, a, w)


def contract(op: Dot | Conv | Einsum, a, w) -> jax.Array:
  """Contracts two operands under the gradient contract of this module.

  Raises:
    TypeError: a low-bit operand and one of another dtype, or of integers.
  """
  low_bit = isinstance(a, Quantized) or isinstance(w, Quantized)
  if not low_bit and getattr(op, "groups", 1) == 1:
    return op(a, w)
  if a.dtype != w.dtype or not jnp.issubdtype(a.dtype, jnp.floating):
    # Integers would round the scales away, two dtypes have no gradient.
    raise TypeError(
      "A low-bit operand is contracted with one of the same float dtype, got"
      f" {a.dtype} and {w.dtype}: cast the activations or the latent weight."
    )
  a, w = as_quantized(a), as_quantized(w)
  return _contract(
    op,
    _surrogate(a),
    _surrogate(w),
    lax.stop_gradient((a.terms, a.shift)),
    lax.stop_gradient((w.terms, w.shift)),
  )


def _surrogate(q: Quantized) -> jax.Array:
  """The surrogate in the dtype of the values.

  The derivative of the cast returns the cotangent in the original dtype;
  otherwise a float32 scale would get a gradient of the compute dtype.
  """
  if q.surrogate is None:
    return jnp.zeros(q.shape, q.dtype)
  return q.surrogate.astype(q.dtype)


@functools.partial(jax.custom_vjp, nondiff_argnums=(0,))
def _contract(op, a_surrogate, w_surrogate, a, w):
  del a_surrogate, w_surrogate
  dtype = a[0][0].value.dtype
  y = sum(
    _pair(op, s, t) for s in _with_shift(a, None) for t in _with_shift(w, op)
  )
  return y.astype(dtype)


def _with_shift(operand, op) -> tuple[Term, ...]:
  """The terms, with the shift as another float term."""
  terms, shift = operand
  if shift is None:
    return terms
  value = terms[0].value
  shape = value.shape
  if op is not None:
    # Tells the cost counter that this operand is not a kernel.
    shift = bits_lib.tag(shift, bits_lib.dtype_bits(value.dtype), role="shift")
  if op is not None and op.gives_last:
    # One output is enough for the shift of a kernel: it is broadcast.
    shape = (*shape[:-1], shift.shape[-1] if shift.ndim else 1)
    if shift.ndim and shift.size == shift.shape[-1]:
      ones = jnp.ones((*shape[:-1], 1), value.dtype)
      return (*terms, Term(ones, shift.reshape(*(1,) * (len(shape) - 1), -1)))
  return (*terms, Term(jnp.broadcast_to(shift, shape).astype(value.dtype)))


def _pair(op, s: Term, t: Term) -> jax.Array:
  """Contracts one term with another; scales multiply the result if they can."""
  if t.is_grouped and s.kind is not None and isinstance(op, Dot):
    return _grouped_dot(op, s, t)
  a, w, outside = s.masked, t.masked, []
  for factor in s.full_factors:
    if (leaving := op.a_factor(factor, a)) is not None:
      outside.append(leaving)
    elif _is_wider(t, s) and (moved := op.to_w(factor, w)) is not None:
      w = (w * moved).astype(w.dtype)
    else:
      a = (a * factor).astype(a.dtype)
  for factor in t.full_factors:
    if (leaving := op.w_factor(factor, w)) is not None:
      outside.append(leaving)
    elif _is_wider(s, t) and (moved := op.to_a(factor, a)) is not None:
      a = (a * moved).astype(a.dtype)
    else:
      w = (w * factor).astype(w.dtype)
  # bfloat16 cannot hold sums above 256 exactly: accumulate in float32.
  wide = jnp.promote_types(a.dtype, jnp.float32)
  y = op(a, w, preferred_element_type=wide)
  for factor in outside:
    y = y * factor
  return y


def _is_wider(one: Term, other: Term) -> bool:
  """Whether a float factor of `other` costs less on `one`.

  It costs nothing on a float operand. Of two low-bit operands the wider one
  becomes float: `w1a8` is then counted as 1 x 16, not as 16 x 8. An operand
  whose tag declares groups keeps its factor.
  """
  if one.kind is None or other.kind is None:
    return one.kind is None
  return not other.kind.group and one.kind.bits > other.kind.bits


def _grouped_dot(op: Dot, s: Term, t: Term) -> jax.Array:
  """One low-bit dot per group of inputs, then the scales and the sum."""
  size = t.kind.group
  a, outside = s.masked, []
  for factor in t.factors:
    if t.is_of_groups(factor):
      continue
    factor = t.ranked(factor)
    if (leaving := op.w_factor(factor, t.value)) is not None:
      outside.append(leaving)
    elif (moved := op.to_a(factor, a)) is not None:
      a = (a * moved).astype(a.dtype)
    else:
      raise ValueError(
        "With a group scale a term takes factors of rows and of columns, got"
        f" {factor.shape}."
      )
  a = a.reshape(*s.value.shape[:-1], -1, size)
  w = t.masked.reshape(-1, size, t.value.shape[-1])
  wide = jnp.promote_types(a.dtype, jnp.float32)
  y = lax.dot_general(
    a,
    w,
    (((a.ndim - 1,), (1,)), ((a.ndim - 2,), (0,))),
    precision=op.precision,
    preferred_element_type=wide,
  )  # [G, ..., O]
  groups = [f for f in t.factors if t.is_of_groups(f)]
  scale = functools.reduce(jnp.multiply, groups)
  scale = scale.reshape(scale.shape[0], *(1,) * (y.ndim - 2), -1)
  y = jnp.sum(y * scale, axis=0)
  for factor in s.full_factors:
    if (leaving := op.a_factor(factor, s.value)) is None:
      raise ValueError(
        "Two low-bit operands both have scales along the contracted axis: got"
        f" {factor.shape} and groups of {size}."
      )
    outside.append(leaving)
  for factor in outside:
    y = y * factor
  return y


def _contract_fwd(op, a_surrogate, w_surrogate, a, w):
  return _contract(op, a_surrogate, w_surrogate, a, w), (a, w)


def _contract_bwd(op, residuals, dy):
  a, w = residuals
  a, a_factor = _dequantize(a)
  w, w_factor = _dequantize(w)
  (da,) = jax.linear_transpose(lambda x: op(x, w), a)(dy)
  dw = op.w_cotangent(a, dy, w)
  if w_factor is not None:
    da = (da * w_factor).astype(da.dtype)
  if a_factor is not None:
    dw = (dw * a_factor).astype(dw.dtype)
  return da, dw, None, None


_contract.defvjp(_contract_fwd, _contract_bwd)


def _dequantize(operand) -> tuple[jax.Array, jax.Array | None]:
  """The dequantized operand; a scale that is one scalar is returned apart.

  Multiplying a gradient by the scalar costs less than multiplying activations.
  """
  terms, shift = operand
  first = terms[0]
  if (
    len(terms) == 1
    and shift is None
    and len(first.factors) == 1
    and first.factors[0].size == 1
  ):
    return first.masked, first.factors[0].reshape(())
  return Quantized(terms, shift).dequantize(), None
