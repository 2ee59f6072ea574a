"""`lax.dot_general` and `lax.conv_general_dilated` of low-bit operands.

A form brings the operands of such an operation into the order of axes that
binarizers expect: inputs `[..., K]` and kernels `[..., K, O]`. So a kernel of any
layout gets the scales that it has in `bnnjax.layers`.

  form = DotForm.of((((1,), (0,)), ((), ())), x.ndim, w.ndim)
  w, _ = binarizer.apply(form.right(w), params, stats, mode)
  y = form.contract(form.left(x), w, x.shape, w_shape)
"""

import dataclasses
import math
import string
from collections.abc import Sequence

import jax
import jax.numpy as jnp
from jax import lax

from bnnjax.core.bilinear import Conv, Dot, Einsum
from bnnjax.core.dot_and_conv import contract
from bnnjax.core.einsum import read
from bnnjax.core.quantized import Quantized
from bnnjax.errors import UserError

Operand = jax.Array | Quantized


def stackable(q: Quantized) -> Quantized:
  """With factors of as many axes as the values, for `jax.vmap` to stack."""

  def ranked(factor):
    return jnp.reshape(factor, (1,) * (ndim - factor.ndim) + factor.shape)

  ndim = len(q.shape)
  terms = tuple(
    dataclasses.replace(t, scale=tuple(map(ranked, t.factors))) for t in q.terms
  )
  shift = None if q.shift is None else ranked(jnp.asarray(q.shift))
  return dataclasses.replace(q, terms=terms, shift=shift)


@dataclasses.dataclass(frozen=True)
class DotForm:
  """`lax.dot_general` as `[*batch, *rows, K] x [*batch, K, O]`.

  Attributes:
    batch, contracted: axes of the left and of the right operand, in pairs.
    rows: the other axes of the left operand.
    columns: the other axes of the right operand.
  """

  batch: tuple[tuple[int, int], ...]
  contracted: tuple[tuple[int, int], ...]
  rows: tuple[int, ...]
  columns: tuple[int, ...]

  @classmethod
  def of_einsum(
    cls, equation: str, left: Sequence[int], right: Sequence[int]
  ) -> tuple["DotForm", tuple[int, ...]]:
    """Reads an equation for operands of these shapes.

    Returns:
      The form, and the order of the axes of its result in the equation's.

    Raises:
      UserError: an axis of one operand is summed or repeated.
    """
    a, w, out = read(equation, tuple(left), tuple(right))
    own = set(a) ^ set(w)
    if own - set(out) or any(len(set(x)) < len(x) for x in (a, w)):
      raise UserError(
        f"The equation {equation!r} sums or repeats an axis of one operand alone:"
        " do that before the einsum, so that it is a product of matrices."
      )
    shared = [c for c in a if c in w]
    pairs = {c: (a.index(c), w.index(c)) for c in shared}
    form = cls(
      tuple(pairs[c] for c in shared if c in out),
      tuple(pairs[c] for c in shared if c not in out),
      tuple(i for i, c in enumerate(a) if c in own),
      tuple(j for j, c in enumerate(w) if c in own),
    )
    made = [c for c in shared if c in out]
    made += [a[i] for i in form.rows] + [w[j] for j in form.columns]
    return form, tuple(made.index(c) for c in out)

  @classmethod
  def of(
    cls, dimension_numbers: lax.DotDimensionNumbers, left: int, right: int
  ) -> "DotForm":
    """Reads the numbers of `lax.dot_general` for operands of these ranks."""
    contracted, batch = (
      tuple((int(i) % left, int(j) % right) for i, j in zip(*axes, strict=True))
      for axes in dimension_numbers
    )
    taken = [set(axes) for axes in zip(*batch, *contracted)] or [set(), set()]
    return cls(
      batch,
      contracted,
      tuple(d for d in range(left) if d not in taken[0]),
      tuple(d for d in range(right) if d not in taken[1]),
    )

  def left(self, x: jax.Array) -> jax.Array:
    """The left operand as `[*batch, *rows, K]`."""
    batch, inner = ([i for i, _ in p] for p in (self.batch, self.contracted))
    y = x.transpose(*batch, *self.rows, *inner)
    k = math.prod(x.shape[i] for i in inner)
    return y.reshape(*y.shape[: len(batch) + len(self.rows)], k)

  def right(self, w: jax.Array) -> jax.Array:
    """The right operand as `[*batch, K, O]`."""
    batch, inner = ([j for _, j in p] for p in (self.batch, self.contracted))
    y = w.transpose(*batch, *inner, *self.columns)
    k = math.prod(w.shape[j] for j in inner)
    o = math.prod(w.shape[j] for j in self.columns)
    return y.reshape(*y.shape[: len(batch)], k, o)

  def contract(
    self,
    a: Operand,
    w: Operand,
    columns: Sequence[int],
    precision: lax.PrecisionLike = None,
  ) -> jax.Array:
    """Contracts operands in this form.

    Args:
      a: `[*batch, *rows, K]`.
      w: `[*batch, K, O]`.
      columns: sizes of the axes of the kernel that `O` stands for.
      precision: as in `lax.dot_general`.

    Returns:
      `[*batch, *rows, *columns]`, as `lax.dot_general` gives it.
    """
    if self.batch:
      letters = string.ascii_lowercase
      batch = letters[: len(self.batch)]
      rows = letters[len(batch) : len(a.shape) - 1]
      op = Einsum(f"{batch}{rows}K", f"{batch}KO", f"{batch}{rows}O", precision)
    else:
      op = Dot(precision)
    y = contract(op, a, w)
    return y.reshape(*y.shape[:-1], *columns)


@dataclasses.dataclass(frozen=True)
class ConvForm:
  """`lax.conv_general_dilated` with channels last.

  Attributes:
    op: the convolution.
    numbers: which axes are batch, channels and spatial ones, for input, kernel
      and output.
  """

  op: Conv
  numbers: lax.ConvDimensionNumbers

  @classmethod
  def of(
    cls,
    numbers: lax.ConvDimensionNumbers,
    strides: Sequence[int],
    padding: str | Sequence[tuple[int, int]],
    spread: Sequence[int] | None = None,
    dilation: Sequence[int] | None = None,
    groups: int = 1,
    batch_groups: int = 1,
    precision: lax.PrecisionLike = None,
  ) -> "ConvForm":
    """Reads the arguments of `lax.conv_general_dilated`.

    Raises:
      UserError: `batch_groups` other than 1, as in the gradient of a kernel.
    """
    if batch_groups != 1:
      raise UserError(
        "A convolution with `batch_group_count` is the gradient of another one:"
        f" it has no kernel to binarize, got {batch_groups}."
      )
    ones = (1,) * (len(numbers.lhs_spec) - 2)
    if not isinstance(padding, str):
      padding = tuple(tuple(int(p) for p in pair) for pair in padding)
    spread = tuple(spread or ones)
    op = Conv(
      tuple(strides),
      padding,
      tuple(dilation or ones),
      groups,
      precision,
      None if spread == ones else spread,
    )
    return cls(op, numbers)

  def left(self, x: jax.Array) -> jax.Array:
    """The input as `[N, *spatial, C]`."""
    batch, channels, *spatial = self.numbers.lhs_spec
    return x.transpose(batch, *spatial, channels)

  def right(self, w: jax.Array) -> jax.Array:
    """The kernel as `[*window, C / groups, O]`."""
    outputs, inputs, *window = self.numbers.rhs_spec
    return w.transpose(*window, inputs, outputs)

  def contract(self, a: Operand, w: Operand) -> jax.Array:
    """Convolves operands in this form; axes are those of `numbers.out_spec`."""
    return self.output(contract(self.op, a, w))

  def output(self, y: jax.Array) -> jax.Array:
    """`[N, *spatial', O]` with the axes of `numbers.out_spec`."""
    batch, channels, *spatial = self.numbers.out_spec
    axes = [batch, *spatial, channels]
    return y.transpose([axes.index(axis) for axis in range(y.ndim)])
