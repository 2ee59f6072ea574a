"""The bilinear maps of low-bit layers: dot, convolution, any einsum.

Each knows which scales of its operands can leave the contraction, and how the
others move to the other operand.
"""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax


@dataclasses.dataclass(frozen=True)
class Dot:
  """`[..., K] x [K, O] -> [..., O]`."""

  precision: lax.PrecisionLike = None

  gives_last = True  # the last axis of `w` is an axis of the output

  def __call__(self, a, w, **kw):
    return lax.dot_general(
      a, w, (((a.ndim - 1,), (0,)), ((), ())), precision=self.precision, **kw
    )

  def w_cotangent(self, a, dy, w):
    """Cotangent of `w` for the cotangent `dy` of the output."""
    return jax.linear_transpose(lambda x: self(a, x), w)(dy)[0]

  def a_factor(self, scale, a):
    """Scale of the left operand as a factor of the output, or `None`."""
    return scale if scale.ndim == 0 or scale.shape[-1] == 1 else None

  def w_factor(self, scale, w):
    """Scale of the right operand as a factor of the output, or `None`."""
    if scale.ndim == 0 or scale.shape[0] == 1:
      return scale.reshape(scale.shape[-1:])
    return None

  def to_w(self, scale, w):
    """A left scale per contracted element, shaped for the right operand."""
    return scale.reshape(-1, 1) if scale.size == scale.shape[-1] else None

  def to_a(self, scale, a):
    """A right scale per contracted element, shaped for the left operand."""
    return scale[:, 0] if scale.shape[-1] == 1 else None


@dataclasses.dataclass(frozen=True)
class Einsum:
  """`einsum("left,right->out")`: one letter per axis, twice for a diagonal.

  Sizes of a letter agree, or are 1 in one of the operands.
  """

  left: str
  right: str
  out: str
  precision: lax.PrecisionLike = None

  @property
  def gives_last(self) -> bool:
    """Whether an output needs the last axis of `w` at one place only."""
    last = self.right[-1:]
    others = self.left + self.right[:-1]
    return bool(last) and last in self.out and last not in others

  def __call__(self, a, w, **kw):
    # `jnp.einsum` takes a diagonal by masking and summing, which loses tags.
    a, left = _diagonals(a, self.left)
    w, right = _diagonals(w, self.right)
    equation = f"{left},{right}->{self.out}"
    return jnp.einsum(equation, a, w, precision=self.precision, **kw)

  def w_cotangent(self, a, dy, w):
    """Cotangent of `w` for the cotangent `dy` of the output."""
    return jax.linear_transpose(lambda x: self(a, x), w)(dy)[0]

  def a_factor(self, scale, a):
    """Scale of the left operand as a factor of the output, or `None`."""
    return _moved(scale, self.left, self.out)

  def w_factor(self, scale, w):
    """Scale of the right operand as a factor of the output, or `None`."""
    return _moved(scale, self.right, self.out)

  def to_w(self, scale, w):
    """A left scale over axes that the right operand has, shaped for it."""
    return _moved(scale, self.left, self.right)

  def to_a(self, scale, a):
    """A right scale over axes that the left operand has, shaped for it."""
    return _moved(scale, self.right, self.left)


def _diagonals(x, names: str):
  """Takes diagonals until each name has one axis: `"iji"` gives `"ji"`."""
  while twice := next((n for n in names if names.count(n) > 1), None):
    i, j = names.index(twice), names.rindex(twice)
    k = jnp.arange(x.shape[i])
    x = jnp.moveaxis(x, (i, j), (-2, -1))[..., k, k]
    names = names[:i] + names[i + 1 : j] + names[j + 1 :] + twice
  return x, names


def _moved(scale, names: str, to: str):
  """A scale over `names`, shaped for an array over `to`.

  `None` if it varies along an axis that the array does not have. For example, a
  scale `[H, 1]` over `"hd"` is `[1, H, 1]` for an array over `"bhq"`.
  """
  if scale.ndim == 0:
    return scale
  names = names[len(names) - scale.ndim :]  # it broadcasts from the right
  varies = [name for name, n in zip(names, scale.shape) if n > 1]
  if any(v not in to or names.count(v) > 1 for v in varies):
    return None
  order = [names.index(n) for n in dict.fromkeys(to) if n in varies]
  sizes = {name: n for name, n in zip(names, scale.shape) if n > 1}
  shape = [sizes.pop(name, 1) for name in to]
  rest = [d for d in range(scale.ndim) if d not in order]
  return scale.transpose(*order, *rest).reshape(shape)


@dataclasses.dataclass(frozen=True)
class Conv:
  """`[N, *spatial, C] x [*window, C / groups, O] -> [N, *spatial', O]`.

  `padding` pads with zeros; pad with another value beforehand. Negative numbers
  crop. A transposed convolution (`core.conv_transpose`) first puts `spread - 1`
  zeros between the inputs, and may `flip` the window.
  """

  strides: tuple[int, ...]
  padding: str | tuple[tuple[int, int], ...]
  dilation: tuple[int, ...]
  groups: int = 1
  precision: lax.PrecisionLike = None
  spread: tuple[int, ...] | None = None
  flip: bool = False

  @property
  def gives_last(self) -> bool:
    """Whether an output needs the last axis of `w` at one place only."""
    return self.groups == 1

  def __call__(self, a, w, **kw):
    n, padding = a.ndim, self.padding
    if not isinstance(padding, str):
      # XLA's input gradient of a cropping convolution is wrong on CPU.
      a, padding = _cropped(a, padding, self.spread or (1,) * (n - 2))
    if self.flip:
      w = lax.rev(w, tuple(range(n - 2)))
    channels_last = lax.ConvDimensionNumbers(
      (0, n - 1, *range(1, n - 1)),
      (n - 1, n - 2, *range(n - 2)),
      (0, n - 1, *range(1, n - 1)),
    )
    return lax.conv_general_dilated(
      a,
      w,
      self.strides,
      padding,
      lhs_dilation=self.spread,
      rhs_dilation=self.dilation,
      dimension_numbers=channels_last,
      feature_group_count=self.groups,
      precision=self.precision,
      **kw,
    )

  def w_cotangent(self, a, dy, w):
    """Cotangent of the kernel `w` for the cotangent `dy` of the output."""
    if self.groups == 1:
      return jax.linear_transpose(lambda x: self(a, x), w)(dy)[0]
    return _grouped_kernel_cotangent(self, a, dy, w)

  def a_factor(self, scale, a):
    """Scale of the left operand as a factor of the output, or `None`."""
    per_example = scale.ndim == 0 or all(n == 1 for n in scale.shape[1:])
    return scale if per_example else None

  def w_factor(self, scale, w):
    """Scale of the right operand as a factor of the output, or `None`."""
    if scale.ndim == 0 or all(n == 1 for n in scale.shape[:-1]):
      return scale.reshape(scale.shape[-1:])
    return None

  def to_w(self, scale, w):
    """A left scale per contracted element, shaped for the right operand."""
    if self.groups > 1 or scale.size != scale.shape[-1]:
      return None
    return scale.reshape(-1, 1)

  def to_a(self, scale, a):
    """A right scale per contracted element, shaped for the left operand."""
    if self.groups > 1 or scale.size != scale.shape[-2]:
      return None
    return scale.reshape(-1)


def _cropped(a, padding, spread):
  """Crops the map by the negative paddings; also returns the paddings left.

  For example, with an input at every third place (`spread` 3), a padding of -4
  crops two inputs, that is six places, and a padding of 2 is left.
  """
  if all(p >= 0 for pair in padding for p in pair):
    return a, padding
  gone = [[max(-(p // s), 0) for p in pair] for pair, s in zip(padding, spread)]
  start = [low for low, _ in gone]
  stop = [n - high for n, (_, high) in zip(a.shape[1:-1], gone)]
  a = lax.slice(a, (0, *start, 0), (a.shape[0], *stop, a.shape[-1]))
  left = (
    tuple(p + cut * s for p, cut in zip(pair, cuts))
    for pair, cuts, s in zip(padding, gone, spread)
  )
  return a, tuple(left)


def _grouped_kernel_cotangent(op: Conv, a, dy, w) -> jax.Array:
  """One small dot per tap and group, instead of XLA's batch-group convolution.

  The same multiply-accumulates, but 90 times as fast on CPU (3.3 instead of
  306 ms for 16 groups of 3x3 on [128, 14, 14, 16]).
  """
  window, spatial = w.shape[:-2], a.shape[1:-1]
  reach = [(k - 1) * d + 1 for k, d in zip(window, op.dilation)]
  pads = op.padding
  if isinstance(pads, str):
    pads = lax.padtype_to_pads(spatial, reach, op.strides, pads)
  # `jnp.pad` takes no negative numbers, which crop.
  zeros = [n - 1 for n in op.spread or (1,) * len(window)]
  inner = [(*pair, between) for pair, between in zip(pads, zeros)]
  widths = [(0, 0, 0), *inner, (0, 0, 0)]
  a = lax.pad(a, jnp.zeros((), a.dtype), widths)
  outer = tuple(range(dy.ndim - 1))  # batch and spatial axes: contracted
  d = dy.reshape(*dy.shape[:-1], op.groups, -1)
  taps = []
  for tap in np.ndindex(*window):
    start = [t * k for t, k in zip(tap, op.dilation)]
    stop = [
      b + (n - 1) * s + 1 for b, n, s in zip(start, dy.shape[1:], op.strides)
    ]
    x = lax.slice(
      a,
      (0, *start, 0),
      (a.shape[0], *stop, a.shape[-1]),
      (1, *op.strides, 1),
    ).reshape(*dy.shape[:-1], op.groups, -1)
    batch = (len(outer),)
    # [groups, in / groups, out / groups]
    dot = lax.dot_general(
      x, d, ((outer, outer), (batch, batch)), precision=op.precision
    )
    taps.append(jnp.moveaxis(dot, 0, 1).reshape(w.shape[-2:]))
  dw = jnp.stack(taps).reshape(w.shape)
  return lax.rev(dw, tuple(range(len(window)))) if op.flip else dw
