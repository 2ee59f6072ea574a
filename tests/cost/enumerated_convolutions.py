"""Convolutions and their MACs by enumeration of pairs, for `enumerated_test`.

The rule that is enumerated: along each spatial axis a convolution counts the
pairs (output position, kernel tap) that do not fall on a zero inserted by
dilation, but at most inputs x taps; padding counts up to that bound. A product
of channels and axes multiplies. Everything is computed from the arguments of
the forward program, never from an equation of its jaxpr.
"""

import dataclasses
import itertools
from collections.abc import Callable, Iterator
from typing import Any

import jax
import numpy as np
from jax import lax

from bnnjax.core.bits import tag


@dataclasses.dataclass(frozen=True)
class Program:
  """A function, its abstract arguments, its MACs by `(w_bits, a_bits)`."""

  kind: str
  name: str
  function: Callable
  args: tuple[Any, ...]
  macs: dict[tuple[int, int], int]


def shape(*dims, dtype="float32"):
  return jax.ShapeDtypeStruct(dims, dtype)


@dataclasses.dataclass(frozen=True)
class Axis:
  """One spatial axis of a convolution; every length in elements."""

  size: int
  taps: int
  stride: int = 1
  padding: tuple[int, int] = (0, 0)
  dilation: int = 1  # of the kernel
  spread: int = 1  # of the input (transposed convolutions)

  @property
  def line(self) -> str:
    """The padded, spread input: i an input, 0 an inserted zero, p padding."""
    line = ("0" * (self.spread - 1)).join("i" * self.size)
    low, high = self.padding
    line = line[-low:] if low < 0 else "p" * low + line
    return line[:high] if high < 0 else line + "p" * high

  @property
  def out(self) -> int:
    window = (self.taps - 1) * self.dilation + 1
    return max(0, (len(self.line) - window) // self.stride + 1)

  @property
  def pairs(self) -> int:
    line = self.line
    found = [
      line[o * self.stride + k * self.dilation] != "0"
      for o in range(self.out)
      for k in range(self.taps)
    ]
    return min(sum(found), self.size * self.taps)

  @property
  def input_gradient(self) -> "Axis":
    """The axis of its transpose: the cotangent spread by the stride."""
    low = (self.taps - 1) * self.dilation - self.padding[0]
    length = (self.out - 1) * self.stride + 1
    # As many outputs as there are inputs, `spread` apart.
    reach = (self.size - 1) * self.spread + 1
    high = reach + (self.taps - 1) * self.dilation - low - length
    return Axis(
      self.out, self.taps, self.spread, (low, high), self.dilation, self.stride
    )

  @property
  def kernel_gradient(self) -> "Axis":
    """The input under a kernel that is the cotangent, and as many outputs as
    there are taps: padding behind the last of them is cut off."""
    window = (self.out - 1) * self.stride + 1
    length = (self.taps - 1) * self.dilation + window
    low, high = self.padding
    high += length - len(self.line)
    return Axis(
      self.size, self.out, self.dilation, (low, high), self.stride, self.spread
    )


def same(size: int, taps: int, stride: int, dilation: int) -> tuple[int, int]:
  """SAME padding: `ceil(size / stride)` outputs, the odd zero behind."""
  reach = (taps - 1) * dilation + 1
  total = max(0, (-(-size // stride) - 1) * stride + reach - size)
  return total // 2, total - total // 2


PADDINGS = {
  "SAME": same,
  "VALID": lambda *_: (0, 0),
  "(1, 1)": lambda *_: (1, 1),
  "(0, 2)": lambda *_: (0, 2),
  "beyond": lambda size, taps, stride, dilation: (taps * dilation + 1,) * 2,
  "cropped": lambda *_: (1, -1),
}


def axes_of(strides, paddings, dilations=(1,), spreads=(1,)) -> Iterator[tuple]:
  """Named axes of every combination that has an output."""
  given = itertools.product(
    ((7, 3), (8, 3), (6, 2), (5, 4), (1, 1)),
    strides,
    paddings,
    dilations,
    spreads,
  )
  for (size, taps), stride, padding, dilation, spread in given:
    reach = (size - 1) * spread + 1
    pads = PADDINGS[padding](reach, taps, stride, dilation)
    axis = Axis(size, taps, stride, pads, dilation, spread)
    name = f"{size} by {taps}, stride {stride}, {padding}, {dilation}, {spread}"
    if axis.out > 0:
      yield name, axis


def conv(axes, x, k, **kw):
  letters = "DHW"[-len(axes) :]
  return lax.conv_general_dilated(
    x,
    k,
    [a.stride for a in axes],
    [a.padding for a in axes],
    lhs_dilation=[a.spread for a in axes],
    rhs_dilation=[a.dilation for a in axes],
    dimension_numbers=(f"N{letters}C", f"{letters}IO", f"N{letters}C"),
    **kw,
  )


BATCH, IN, OUT = 2, 4, 6


def convolution(kind, name, axes, groups=1, batch_groups=1):
  """A convolution, or both of its gradients."""
  inputs = IN // groups
  x = shape(BATCH, *(a.size for a in axes), IN)
  k = shape(*(a.taps for a in axes), inputs, OUT)
  kw = dict(feature_group_count=groups, batch_group_count=batch_groups)

  def forward(x, k):
    return conv(axes, tag(x, 4, role="act"), tag(k, 2, role="weight"), **kw)

  function, args, parts = forward, (x, k), {(2, 4): axes}
  if kind == "gradients":
    dy = shape(BATCH // batch_groups, *(a.out for a in axes), OUT)
    parts = {
      (2, 32): [a.input_gradient for a in axes],
      (32, 4): [a.kernel_gradient for a in axes],
    }

    def function(x, k, dy):
      return jax.vjp(forward, x, k)[1](dy)

    args = (x, k, dy)
  channels = BATCH // batch_groups * inputs * OUT
  macs = {
    bits: channels * int(np.prod([a.pairs for a in part], dtype=object))
    for bits, part in parts.items()
  }
  return Program(kind, f"{name}, groups {groups}", function, args, macs)


def pairs_of_axes(named, rank):
  """Programs of `rank` axes, neighbours in the list together."""
  named = list(named)
  for i in range(0, len(named) - rank + 1):
    chosen = named[i : i + rank]
    yield " x ".join(n for n, _ in chosen), [a for _, a in chosen]


def convolutions() -> Iterator[Program]:
  every = tuple(PADDINGS)
  plain = list(axes_of((1, 2, 3), every))
  for name, axis in plain:
    yield convolution("conv", name, [axis])
  for name, axes in itertools.islice(pairs_of_axes(plain[::7], 2), 8):
    yield convolution("conv", name, axes)
  spread = list(axes_of((1,), every, spreads=(2, 3)))
  for name, axis in spread:
    yield convolution("transposed", name, [axis])
  for name, axes in itertools.islice(pairs_of_axes(spread[::5], 2), 8):
    yield convolution("transposed", name, axes)
  for name, axis in axes_of((1, 2), ("SAME", "VALID", "beyond"), (2, 3)):
    yield convolution("dilated", name, [axis])
  some = list(axes_of((1, 2), ("SAME", "VALID", "(1, 1)")))
  for (name, axis), groups in itertools.product(some[::2], (2, 4)):
    if OUT % groups == 0:
      yield convolution("grouped", name, [axis], groups)
  for name, axis in some:
    yield convolution("grouped", f"{name}, batch", [axis], batch_groups=2)
  steps = list(axes_of((1, 2, 3), every, (1, 2)))
  for i, (name, axis) in enumerate(steps):
    yield convolution("gradients", name, [axis], (1, 2)[i % 2])
  for name, axes in itertools.islice(pairs_of_axes(steps[::11], 2), 6):
    yield convolution("gradients", name, axes)


def library_transposed() -> Iterator[Program]:
  """`lax.conv_transpose` with SAME and VALID costs inputs x taps an axis."""
  sizes = itertools.product((1, 4, 5), (2, 3, 4), (1, 2, 3), ("SAME", "VALID"))
  for size, taps, stride, padding in sizes:
    if padding == "SAME" and taps < stride:
      continue  # some outputs meet no tap, and some taps no output

    def function(x, k, stride=stride, padding=padding):
      return lax.conv_transpose(x, k, (stride,) * 2, padding)

    args = shape(1, size, size, 3), shape(taps, taps, 3, 5)
    name = f"{size} by {taps}, stride {stride}, {padding}"
    macs = {(32, 32): (size * taps) ** 2 * 15}
    yield Program("transposed", name, function, args, macs)
