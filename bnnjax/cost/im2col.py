"""Convolutions that only pick elements, as im2col does.

`lax.conv_general_dilated_patches` is a convolution with a one-hot kernel. It
multiplies nothing, however it is compiled. Its results are elements of its
input, which keep their tag.
"""

import math

import numpy as np

from bnnjax.core.equations import Operation
from bnnjax.cost import expressions
from bnnjax.cost.abstract_value import AbstractValue, Dims, plain, replace


def picked(op: Operation) -> AbstractValue | None:
  """The result, if the kernel is a constant selection; else `None`.

  Example: im2col of 3 channels by 2x2 taps has a kernel of 12 outputs, each
  with a single 1; output 7 holds tap 3 of channel 1.
  """
  kernel = expressions.evaluate(op.ins[1])
  if kernel is None or kernel.size == 0:
    return None
  numbers = op.params["dimension_numbers"]
  groups = op.params["feature_group_count"]
  k = kernel.transpose(numbers.rhs_spec)  # [O, I / groups, *taps]
  if not np.isin(k, (0, 1)).all():
    return None
  outputs, inputs = k.shape[:2]
  if (k.reshape(outputs, -1).sum(1) == 1).all():
    tap = k.reshape(outputs, -1).argmax(1)
    first = np.arange(outputs) // (outputs // groups) * inputs
    channel = first + tap // math.prod(k.shape[2:])
    return _by_channel(op, channel)
  # Its transpose, col2im: every input goes to one place, and is added there.
  spread = k.reshape(groups, outputs // groups, inputs, -1).sum((1, 3))
  if not (spread == 1).all():
    return None
  return plain(op.shape, static=op.ins[0].static)


def _by_channel(op: Operation, channel: np.ndarray) -> AbstractValue:
  """The input, of which output channel o holds the channel `channel[o]`."""
  v, shape, numbers = op.ins[0], op.shape, op.params["dimension_numbers"]
  old, kernel = op.shapes
  batch, features, *spatial = zip(numbers.lhs_spec, numbers.out_spec)
  taps = [kernel[d] for d in numbers.rhs_spec[2:]]

  def move(dims: Dims) -> Dims:
    out = {}
    if batch[0] in dims and shape[batch[1]] != 1:
      out[batch[1]] = dims[batch[0]]
    runs = []
    for (d, to), size in zip(spatial, taps):
      if d in dims:
        out |= {to: 1} if shape[to] != 1 else {}
        runs += [1] if size > 1 else []  # taps of one pixel differ
    if features[0] in dims:
      runs.append(_run(channel // dims[features[0]]))
    if runs and shape[features[1]] != 1:
      out[features[1]] = math.gcd(*runs)
    return out

  out = v.moved(move)
  if shape != old:
    out = replace(out, lineage=(), affine=None)
  zeros = any(lo > 0 or hi > 0 for lo, hi in op.params["padding"])
  zeros = zeros or any(n > 1 for n in op.params["lhs_dilation"])
  padded = v.padded or (bool(v.terms) and zeros and v.lacks(0.0))
  return replace(out, const=None, words=None, expression=None, padded=padded)


def _run(index: np.ndarray) -> int:
  """The largest run length at whose multiples alone `index` changes.

  Example: `[0, 0, 0, 0, 1, 1]` changes at 4 of 6: runs of 2.
  """
  changes = np.flatnonzero(np.diff(index)) + 1
  return math.gcd(len(index), *changes.tolist())
