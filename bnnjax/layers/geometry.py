"""Geometry of convolutions: windows, strides, dilation and padding."""

import dataclasses
import math
from collections.abc import Iterable

import jax
import jax.numpy as jnp
from jax import lax

from bnnjax.core import registry
from bnnjax.core.binarizer import Binarizer
from bnnjax.core.number_checks import INT32
from bnnjax.core.quantized import Quantized, Term
from bnnjax.layers.checks import whole

PAD_VALUES = (0, -1, 1)


@dataclasses.dataclass(frozen=True)
class Geometry:
  """How a convolution treats the spatial axes.

  Attributes:
    window, strides, dilation: one number a spatial axis.
    padding: `"SAME"`, `"VALID"` or pairs.
  """

  window: tuple[int, ...] = ()
  strides: tuple[int, ...] = ()
  padding: str | tuple[tuple[int, int], ...] = ()
  dilation: tuple[int, ...] = ()


def read_window(kernel_size) -> tuple[int, ...]:
  """The window of a convolution, one int >= 1 a spatial axis.

  Raises:
    TypeError, ValueError: any other value.
  """
  if not isinstance(kernel_size, Iterable) or isinstance(kernel_size, str):
    raise TypeError(
      "`kernel_size` has one number per spatial axis, e.g. (3, 3), got"
      f" {kernel_size!r}."
    )
  window = tuple(whole("kernel_size", n) for n in kernel_size)
  if not window:
    raise ValueError("`kernel_size` has no spatial axis, got ().")
  return window


def read_groups(before, after, groups=1) -> tuple[tuple[int, int], int]:
  """Features before and after, and the groups that divide both.

  Raises:
    TypeError, ValueError: sizes below 1, or groups that do not divide.
  """
  before, after = whole("in_features", before), whole("out_features", after)
  groups = whole("groups", groups)
  if before % groups or after % groups:
    raise ValueError(
      f"`groups` must divide input and output features: got groups={groups},"
      f" {before} -> {after}."
    )
  return (before, after), groups


def per_axis(name, value, window) -> tuple[int, ...]:
  """One int >= 1 for each spatial axis; a single one serves all."""
  if not isinstance(value, Iterable) or getattr(value, "ndim", 1) == 0:
    return (whole(name, value),) * len(window)
  value = tuple(value)
  if len(value) != len(window):
    raise ValueError(
      f"`{name}` must be an int >= 1, or one for each of {len(window)} spatial"
      f" axes, got {value}."
    )
  return tuple(whole(name, n) for n in value)


def read_padding(padding, window):
  """Padding as `"SAME"`, `"VALID"`, or a (low, high) pair for each axis.

  As in flax, a number pads both sides; `(1, 2)` for two axes is one number for
  each. Negative numbers crop. For example, with two axes:

      1            -> ((1, 1), (1, 1))
      (1, -2)      -> ((1, 1), (-2, -2))
      ((0, 1), 2)  -> ((0, 1), (2, 2))

  Raises:
    TypeError, ValueError: any other value, or padding beyond int32.
  """
  if isinstance(padding, str):
    if padding not in ("SAME", "VALID"):
      raise registry.unknown("padding", padding, ("SAME", "VALID"))
    return padding
  if not isinstance(padding, Iterable) or getattr(padding, "ndim", 1) == 0:
    padding = (padding,) * len(window)
  sides = [p if isinstance(p, Iterable) else (p, p) for p in padding]
  if len(sides) != len(window) or any(len(p) != 2 for p in map(tuple, sides)):
    raise ValueError(
      "`padding` needs a number or a (low, high) pair for each of"
      f" {len(window)} spatial axes, got {padding!r}."
    )
  pairs = tuple(
    tuple(whole("padding", n, least=None) for n in side) for side in sides
  )
  if math.prod(max(1, low + high) for low, high in pairs) > INT32:
    raise ValueError(
      f"`padding` must add at most {INT32} places to a map, got {padding!r}."
    )
  return pairs


def check_pad_value(value, made: Binarizer | None, axes: int) -> int:
  """The padding value, in units of the low-bit values: 0, or one of their grid.

  Args:
    value: to be checked.
    made: binarizer of the activations.
    axes: number of spatial axes.

  Raises:
    TypeError, ValueError: a value outside the grid, or a scale that differs
      between positions.
  """
  value = whole("pad_value", value, least=None)
  if value not in PAD_VALUES:
    raise registry.unknown("pad_value", value, map(str, PAD_VALUES))
  if not value or made is None or made.is_float:
    return value
  grid = made.grid
  if grid is None:
    raise ValueError(
      f"`pad_value` {value} needs a grid that holds it, and the estimator"
      f" {made.estimator.name!r} declares none: give `grid=` to its decorator,"
      " or pad with 0."
    )
  if value not in grid:
    text = f"the alphabet {grid}"
    if isinstance(grid, range):
      steps = f" in steps of {grid.step}" if grid.step > 1 else ""
      text = f"the grid {grid[0]}..{grid[-1]}{steps}"
    raise ValueError(
      f"`pad_value` must be 0 or in {text} of the activations"
      f" ({made.estimator.name!r}), got {value}."
    )
  if made.scale is not None:
    map_ = jax.ShapeDtypeStruct((2, *(2,) * axes, 2), jnp.float32)
    quantize = lambda x: made.apply(x, *made.init(x))[0]  # noqa: E731
    _check_scales(jax.eval_shape(quantize, map_))
  return value


def pad(x: "jax.Array | Quantized", pairs, value: int):
  """Pads the spatial axes of the low-bit values (or of a float map).

  Negative numbers crop.
  """
  widths = tuple((low, high, 0) for low, high in ((0, 0), *pairs, (0, 0)))

  def wider(array, constant):
    # Unlike `jnp.pad`, `lax.pad` crops where a number is negative.
    return lax.pad(array, jnp.asarray(constant, array.dtype), widths)

  if not isinstance(x, Quantized):
    return wider(x, value)
  _check_scales(x)
  terms = tuple(
    Term(
      wider(t.value, value),
      t.scale,
      None if t.mask is None else wider(_full_mask(t), 1),
      t.kind,
    )
    for t in x.terms
  )
  return Quantized(terms, x.shift, wider(x.surrogate, 0))


def _full_mask(term: Term):
  return jnp.broadcast_to(term.mask, term.value.shape)


def patches(x: jax.Array, geometry: Geometry) -> jax.Array:
  """The patches that multiply the kernel of a convolution, as rows.

  Args:
    x: `[N, *spatial, C]`, to be padded with zeros.
    geometry: of the convolution.

  Returns:
    `[N, *spatial', window * C]`. Times the kernel `[*window, C, O]`, reshaped
    to `[window * C, O]`, this is the convolution.
  """
  layout = (0, x.ndim - 1, *range(1, x.ndim - 1))
  kernel = tuple(range(x.ndim))
  y = lax.conv_general_dilated_patches(
    x,
    geometry.window,
    geometry.strides,
    geometry.padding,
    rhs_dilation=geometry.dilation,
    dimension_numbers=lax.ConvDimensionNumbers(layout, kernel, layout),
    precision=lax.Precision.HIGHEST,  # patches are exact copies
  )
  y = y.reshape(*y.shape[:-1], x.shape[-1], -1)
  return jnp.swapaxes(y, -1, -2).reshape(*y.shape[:-2], -1)


def _check_scales(x: Quantized) -> None:
  for term in x.terms:
    for factor in term.factors:
      if any(n > 1 for n in factor.shape[1:-1]):
        raise ValueError(
          "A `pad_value` other than 0 needs a scale that is the same at all"
          f" positions: got scale {factor.shape}."
        )
