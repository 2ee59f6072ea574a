"""How the axes of a value move through the shape primitives of lax.

A mover maps the axes and run lengths (`abstract_value.Dims`) of the first
operand to those of the result: the mover of `x.T` maps `{0: 4}` to `{1: 4}`.
"""

import math
from collections.abc import Callable, Iterable, Sequence

from bnnjax.core.equations import Operation
from bnnjax.cost.abstract_value import Dims, everywhere, union

Mover = Callable[[Dims], Dims]


def resized(old: Sequence[int], new: Sequence[int]) -> Mover:
  """Keeps the axes and changes their lengths (slice, pad, `rev`).

  A run survives where the length does: from `(64, 8)` to `(60, 8)`,
  `{0: 16, 1: 2}` is `{0: 1, 1: 2}`.
  """

  def move(dims: Dims) -> Dims:
    return {
      d: run if new[d] == old[d] else 1
      for d, run in dims.items()
      if new[d] != 1
    }

  return move


def _picking(axes: Iterable[int]) -> Mover:
  """Result axis `i` is operand axis `axes[i]`."""
  order = list(axes)
  return lambda dims: {i: dims[d] for i, d in enumerate(order) if d in dims}


def without(axes: Sequence[int], ndim: int) -> Mover:
  """Drops reduced axes."""
  return _picking(d for d in range(ndim) if d not in axes)


def _broadcast(op: Operation) -> Mover:
  old = op.shapes[0]
  new = op.params["shape"]
  to = op.params["broadcast_dimensions"]
  return lambda dims: {
    to[d]: run for d, run in dims.items() if old[d] == new[to[d]]
  }


def _groups(old: Sequence[int], new: Sequence[int]):
  """Pairs of axis ranges of equal size, as short as possible.

  Example: from `(2, 4, 5)` to `(8, 5)` axes 0 and 1 become axis 0, and axis 2
  becomes axis 1.
  """
  i = j = 0
  while i < len(old) or j < len(new):
    a, b = i, j
    left = right = 1
    if i < len(old):
      left, i = old[i], i + 1
    if j < len(new):
      right, j = new[j], j + 1
    while left != right:
      if (left < right and i < len(old)) or j >= len(new):
        left, i = left * old[i], i + 1
      else:
        right, j = right * new[j], j + 1
    yield range(a, i), range(b, j)


def _flat_run(dims: Dims, shape: Sequence[int], axes: range) -> int | None:
  """Run length over the row-major index of `axes`; `None`: it is constant.

  The last axis of `axes` that varies decides, times the lengths behind it.
  Example: in shape `(2, 4, 5)`, `{1: 2}` over axes 0 to 2 changes every
  `2 * 5 = 10` elements.
  """
  after = 1
  for d in reversed(axes):
    if d in dims:
      return dims[d] * after
    after *= shape[d]
  return None


def regroup(old: Sequence[int], new: Sequence[int]) -> Mover:
  """Axes through a row-major reshape from `old` to `new`.

  Each group of axes is flattened, which gives one run length, and split again:
  an axis with `stride` elements behind it varies every `run / stride` of its
  own steps, and not at all where `run` is a multiple of `stride * size`.
  Example: 8 elements in runs of 2, `{0: 2}` of `(8,)`, are `{0: 1, 1: 2}` of
  `(2, 4)`; in runs of 4 they are `{0: 1}`, because each line of 4 is constant.
  """
  if 0 in old or 0 in new:
    return lambda dims: everywhere(new) if dims else {}
  pairs = list(_groups(old, new))

  def move(dims: Dims) -> Dims:
    out = {}
    for sources, targets in pairs:
      run = _flat_run(dims, old, sources)
      if run is None:
        continue
      stride = 1
      for d in reversed(targets):
        size = new[d]
        if size != 1 and run % (stride * size):
          whole = run % stride == 0
          out[d] = math.gcd(run // stride, size) if whole else 1
        stride *= size
    return out

  return move


def _reshape(op: Operation) -> Mover:
  return regroup(op.shapes[0], op.shape)


def _same_rank(op: Operation) -> Mover:
  return resized(op.shapes[0], op.shape)


def _reduce(op: Operation) -> Mover:
  return without(op.params["axes"], len(op.shapes[0]))


def _squeeze(op: Operation) -> Mover:
  return without(op.params["dimensions"], len(op.shapes[0]))


def _gather(op: Operation) -> Mover:
  """Whole slices keep their axis; indexed axes vary along the indices.

  Example: `table[ids]` with `{1: 1}` of table `(V, D)` and ids `(B, T)` is
  `{2: 1}`: its scale per feature stays one per feature.
  """
  numbers = op.params["dimension_numbers"]
  old, new = op.shapes[0], op.shape
  batching = tuple(getattr(numbers, "operand_batching_dims", ()))
  gone = {*numbers.collapsed_slice_dims, *batching}
  windows = [d for d in range(len(old)) if d not in gone]
  to = dict(zip(windows, numbers.offset_dims))
  batch = [d for d in range(len(new)) if d not in numbers.offset_dims]
  picked = {*numbers.start_index_map, *gone}

  def move(dims: Dims) -> Dims:
    out: Dims = {}
    for d, run in dims.items():
      if d in to and new[to[d]] != 1:
        out[to[d]] = run if new[to[d]] == old[d] else 1
      if d in picked:
        out = union(out, {b: 1 for b in batch if new[b] != 1})
    return out

  return move


def inserted(axis: int) -> Mover:
  """Inserts a new axis, along which nothing varies."""
  return lambda dims: {d + (d >= axis): run for d, run in dims.items()}


def parts(op: Operation, new: Sequence[int]) -> Mover:
  """From the operand to one result of `split` or `unstack`."""
  old = op.shapes[0]
  if len(new) < len(old):
    return without((op.params["axis"],), len(old))
  return resized(old, new)


def _all_gather(op: Operation) -> Mover:
  axis, tiled = op.params["all_gather_dimension"], op.params["tiled"]
  return _same_rank(op) if tiled else inserted(axis)


def _tile(op: Operation) -> Mover:
  more = len(op.shape) - len(op.shapes[0])
  return lambda dims: {d + more: run for d, run in dims.items()}


_UNCHANGED = (
  "convert_element_type copy copy_p stop_gradient reduce_precision"
  " sharding_constraint layout_constraint reshard mesh_cast name pvary pcast"
  " ppermute pbroadcast reduced_vary_cast vary_unreduced_cast"
  " with_memory_space_constraint relayout"
)
# Primitives that only move, copy or pick elements of their first operand.
KEEP: dict[str, Callable[[Operation], Mover]] = {
  "transpose": lambda op: _picking(op.params["permutation"]),
  "broadcast_in_dim": _broadcast,
  "squeeze": _squeeze,
  "reshape": _reshape,
  "rev": _same_rank,
  "slice": _same_rank,
  "dynamic_slice": _same_rank,
  "gather": _gather,
  "reduce_max": _reduce,
  "reduce_min": _reduce,
  "reduce_window_max": _same_rank,
  "reduce_window_min": _same_rank,
  "all_gather": _all_gather,
  "all_gather_invariant": _all_gather,
  "tile": _tile,
  **dict.fromkeys(_UNCHANGED.split(), lambda op: lambda dims: dims),
}
