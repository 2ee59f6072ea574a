"""A contraction of a jaxpr, its operands as binarizers expect them."""

import dataclasses
import math
from typing import Any

import jax
import jax.numpy as jnp

from bnnjax.convert.kernels import Use
from bnnjax.core.general_ops import ConvForm, DotForm, Operand


@dataclasses.dataclass(frozen=True)
class Contraction:
  """Inputs `[*batch, *rows, K]` and a kernel `[*batch, K, O]`.

  A convolution has no batch axes and a window in front of `K`. Each index of
  the batch axes has a kernel of its own.

  Attributes:
    form: the contraction of these operands.
    use: where it stands.
  """

  form: DotForm | ConvForm
  use: Use

  @classmethod
  def of(cls, use: Use) -> "Contraction":
    """Reads the contraction of a use."""
    params, ndims = use.eqn.params, [v.aval.ndim for v in use.eqn.invars]
    if use.eqn.primitive.name == "conv_general_dilated":
      form = ConvForm.of(
        params["dimension_numbers"],
        params["window_strides"],
        params["padding"],
        params["lhs_dilation"],
        params["rhs_dilation"],
        params["feature_group_count"],
        params["batch_group_count"],
        params["precision"],
      )
      return cls(form, use)
    numbers = params["dimension_numbers"]
    if use.side == 0:
      numbers, ndims = [axes[::-1] for axes in numbers], ndims[::-1]
    return cls(DotForm.of(numbers, *ndims), use)

  @property
  def batch(self) -> int:
    """Number of batch axes."""
    return len(self.form.batch) if isinstance(self.form, DotForm) else 0

  @property
  def layout(self) -> tuple:
    """The order in which the axes of the kernel are read."""
    if isinstance(self.form, ConvForm):
      return tuple(self.form.numbers.rhs_spec)
    pairs = (*self.form.batch, *self.form.contracted)
    return (len(self.form.batch), *(j for _, j in pairs), *self.form.columns)

  @property
  def dtype(self) -> Any:
    """Of the computation: a result wider than its operands widens them."""
    left, right = self.use.eqn.invars
    out = self.use.eqn.outvars[0].aval.dtype
    return jnp.result_type(left.aval.dtype, right.aval.dtype, out)

  @property
  def shape(self) -> tuple[int, ...]:
    """Of the input, without the kernel."""
    return self.use.eqn.invars[1 - self.use.side].aval.shape

  @property
  def features(self) -> int:
    """Size of the last axis of the input, `K` or the channels."""
    if isinstance(self.form, ConvForm):
      return self.shape[self.form.numbers.lhs_spec[1]]
    return math.prod(self.shape[i] for i, _ in self.form.contracted)

  def left(self, x: jax.Array) -> jax.Array:
    """The input; one row if it has none."""
    a = self.form.left(x)
    return jnp.expand_dims(a, -2) if self._lacks_rows else a

  def right(self, w: jax.Array) -> jax.Array:
    """The kernel."""
    return self.form.right(w)

  @property
  def _lacks_rows(self) -> bool:
    return isinstance(self.form, DotForm) and not self.form.rows

  def contract(
    self, a: Operand, w: Operand, factor: jax.Array | None
  ) -> jax.Array:
    """The result as the equation gives it.

    Args:
      a: what `left` returned, or its quantized form.
      w: what `right` returned, or its quantized form.
      factor: of the result, `[*batch, O]`; `None` is 1.
    """
    out = self.use.eqn.outvars[0].aval
    if isinstance(self.form, ConvForm):
      y = self.form.contract(a, w)
      if factor is not None:
        shape = [1] * y.ndim
        shape[self.form.numbers.out_spec[1]] = -1
        y = (y * factor.reshape(shape)).astype(y.dtype)
      return y.astype(out.dtype)
    n, r, c = (
      len(x) for x in (self.form.batch, self.form.rows, self.form.columns)
    )
    kernel = self.use.eqn.invars[self.use.side].aval.shape
    columns = [kernel[j] for j in self.form.columns]
    precision = self.use.eqn.params["precision"]
    if isinstance(precision, tuple) and self.use.side == 0:
      precision = precision[::-1]
    y = self.form.contract(a, w, columns, precision)
    if factor is not None:
      rows = (1,) * (y.ndim - n - c)
      factor = factor.reshape(*factor.shape[:n], *rows, *columns)
      y = (y * factor).astype(y.dtype)
    if self._lacks_rows:
      y = y.squeeze(n)
    if self.use.side == 0:  # its axes come before those of the input
      order = [*range(n), *range(n + r, n + r + c), *range(n, n + r)]
      y = y.transpose(order)
    return y.astype(out.dtype)
