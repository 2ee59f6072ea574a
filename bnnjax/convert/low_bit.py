"""What a converted flax layer calls in place of its own operation.

Layers of flax take their contraction as an argument (`dot_general`,
`conv_general_dilated`, `einsum_op`), or else the function that promotes their
operands (`promote_dtype`). These modules fill these places: they own the
binarizers, while the layer keeps its kernel, bias, shapes and padding.
"""

from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx
from jax import lax

from bnnjax.convert.rules import Rule
from bnnjax.core.dot_and_conv import contract
from bnnjax.core.general_ops import ConvForm, DotForm, stackable
from bnnjax.core.quantized import Quantized
from bnnjax.layers.binarize import Binarize
from bnnjax.layers.contraction import Finish
from bnnjax.layers.geometry import Geometry
from bnnjax.layers.mode import warn_if_differentiated


class LowBit(Finish):
  """The binarizers of a layer.

  Args:
    rule: how the layer is binarized.
    kernel: as binarizers expect it, `[*batch, ..., K, O]`.
    inputs: size of the last axis of the input in that form.
    dtype: of the parameters of the activation's binarizer.
    rngs: random numbers; the key `params` is used.
    replaced: what the layer called before, a function or `None`.
    variable: type of the kernel's variable before.
    geometry: of the window, for scales of the output that need it.
    batch: number of batch axes: each index of them has a kernel, and a binarizer,
      of its own.

  Attributes:
    weight, act: binarizers.
  """

  def __init__(
    self,
    rule: Rule,
    kernel: jax.Array,
    inputs: int,
    *,
    rngs: nnx.Rngs,
    replaced: Callable[..., Any] | None = None,
    variable: type[nnx.Variable] = nnx.Param,
    geometry: Geometry | None = None,
    batch: int = 0,
  ):
    def of_kernel(kernel, key):
      return Binarize(rule.weight, "weight", kernel, nnx.Rngs(params=key))

    stack, key = kernel.shape[:batch], rngs.params()
    for _ in stack:
      of_kernel = nnx.vmap(of_kernel)
    self.weight = of_kernel(
      kernel, jax.random.split(key, stack) if stack else key
    )
    self.weight.stacked, self.batch = stack, batch
    like = jax.ShapeDtypeStruct(
      (1,) * (kernel.ndim - 1) + (inputs,), kernel.dtype
    )
    self.act = Binarize(rule.act, "act", like, rngs)
    made = self.weight.binarizer
    self._set_finish(
      made, kernel.shape[-1], rule.output, rule.grad, geometry, rngs
    )
    self.replaced, self.variable = replaced, variable

  def _quantize(self, x: jax.Array, w: jax.Array):
    """Both operands, and what would compute differently in training."""
    a, differs = self.act.quantize(self.observe(x), None)
    names = []

    def of_kernel(weight, w):
      w, name = weight.quantize(w, None)
      names.append(name)
      return stackable(w) if isinstance(w, Quantized) else w

    for _ in range(self.batch):
      of_kernel = nnx.vmap(of_kernel)
    w = of_kernel(self.weight, w)
    return a, w, differs or names[0]


class DotGeneral(LowBit):
  """A low-bit `lax.dot_general`."""

  def __call__(
    self,
    x: jax.Array,
    kernel: jax.Array,
    dimension_numbers: lax.DotDimensionNumbers,
    precision: lax.PrecisionLike = None,
    preferred_element_type: Any = None,
    out_sharding: Any = None,
  ) -> jax.Array:
    """`lax.dot_general(x, kernel, ...)` of the binarized operands."""
    x, kernel = _widened(x, kernel, preferred_element_type)
    form = DotForm.of(dimension_numbers, x.ndim, kernel.ndim)
    rows = form.left(x)
    a, w, differs = self._quantize(rows, form.right(kernel))
    y = form.contract(a, w, w.shape[-1:], precision)
    y = self._finish(y, rows, None, differs)
    y = y.reshape(*y.shape[:-1], *(kernel.shape[d] for d in form.columns))
    return _placed(y, preferred_element_type, out_sharding)


class Einsum(LowBit):
  """A low-bit `jnp.einsum` of an input and a kernel."""

  def __call__(
    self,
    equation: str,
    x: jax.Array,
    kernel: jax.Array,
    precision: lax.PrecisionLike = None,
    preferred_element_type: Any = None,
    out_sharding: Any = None,
  ) -> jax.Array:
    """`jnp.einsum(equation, x, kernel)` of the binarized operands."""
    x, kernel = _widened(x, kernel, preferred_element_type)
    form, order = DotForm.of_einsum(equation, x.shape, kernel.shape)
    rows = form.left(x)
    a, w, differs = self._quantize(rows, form.right(kernel))
    y = form.contract(a, w, w.shape[-1:], precision)
    y = self._finish(y, rows, None, differs)
    y = y.reshape(*y.shape[:-1], *(kernel.shape[d] for d in form.columns))
    return _placed(y.transpose(order), preferred_element_type, out_sharding)


class ConvGeneral(LowBit):
  """A low-bit `lax.conv_general_dilated`.

  Args:
    causal: zeros that the layer puts before a sequence, which are not inputs:
      they stay zeros.
    **options: of `LowBit`.
  """

  def __init__(self, *args: Any, causal: int = 0, **options: Any):
    super().__init__(*args, **options)
    self.causal = causal

  def __call__(
    self,
    x: jax.Array,
    kernel: jax.Array,
    strides: Sequence[int],
    padding: str | Sequence[tuple[int, int]],
    lhs_dilation: Sequence[int] | None = None,
    rhs_dilation: Sequence[int] | None = None,
    dimension_numbers: lax.ConvDimensionNumbers | None = None,
    feature_group_count: int = 1,
    precision: lax.PrecisionLike = None,
    preferred_element_type: Any = None,
    out_sharding: Any = None,
  ) -> jax.Array:
    """`lax.conv_general_dilated(x, kernel, ...)` of the binarized operands."""
    x, kernel = _widened(x, kernel, preferred_element_type)
    numbers = lax.conv_dimension_numbers(
      x.shape, kernel.shape, dimension_numbers
    )
    if self.causal:
      padding = ((self.causal, 0),)
    form = ConvForm.of(
      numbers,
      strides,
      padding,
      lhs_dilation,
      rhs_dilation,
      feature_group_count,
      precision=precision,
    )
    rows = form.left(x)[:, self.causal :]
    a, w, differs = self._quantize(rows, form.right(kernel))
    y = self._finish(contract(form.op, a, w), rows, None, differs)
    return _placed(form.output(y), preferred_element_type, out_sharding)


class Operands(LowBit):
  """Promotes the dtype of operands, and binarizes them.

  For layers whose operation is not an argument: they then compute with
  dequantized operands, which still carry their bits.

  Args:
    flip: whether the kernel is stored with its last two axes swapped.
    **options: of `LowBit`.
  """

  def __init__(self, *args: Any, flip: bool = False, **options: Any):
    super().__init__(*args, **options)
    self.flip = flip

  def __call__(self, operands: Sequence[Any], **options: Any) -> tuple:
    """Of `(input, kernel, bias)` or `(table,)`; others are only promoted."""
    promoted = self.replaced(operands, **options)
    if len(promoted) == 1:
      table, differs = self.weight.quantize(promoted[0], None)
      return (_dequantized(table, differs),)
    if len(promoted) != 3:
      return promoted
    x, kernel, *rest = promoted
    kernel = jnp.swapaxes(kernel, -1, -2) if self.flip else kernel
    a, differs = self.act.quantize(self.observe(x), None)
    w, also = self.weight.quantize(kernel, None)
    w = _dequantized(w, also)
    w = jnp.swapaxes(w, -1, -2) if self.flip else w
    return _dequantized(a, differs), w, *rest


def _dequantized(x: jax.Array | Quantized, differs: str) -> jax.Array:
  """The operand as an array; `differs` as of `Binarize.quantize`."""
  x = x.dequantize() if isinstance(x, Quantized) else x
  return warn_if_differentiated(differs, x) if differs else x


def _widened(x: jax.Array, kernel: jax.Array, dtype: Any):
  """Both operands; a result wider than they are widens them."""
  if dtype is None:
    return x, kernel
  dtype = jnp.result_type(x, kernel, dtype)
  return x.astype(dtype), kernel.astype(dtype)


def _placed(y: jax.Array, dtype: Any, sharding: Any) -> jax.Array:
  """The output in the dtype and sharding that the layer asks for."""
  y = y if dtype is None else y.astype(dtype)
  return y if sharding is None else jax.sharding.reshard(y, sharding)
