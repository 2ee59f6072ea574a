"""Scales of groups of inputs: one factor per group and output."""

from bnnjax.core.hyper import Whole
from bnnjax.core.scale import Measured, magnitude, scale


def _check_groups(x, size):
  if len(x.shape) != 2 or x.shape[0] % size:
    raise ValueError(
      "Group scales need a kernel [in, out] whose `in` is a multiple of the"
      f" group size: got shape {x.shape} and size {size}."
    )


def _group_magnitude(x, how, size, pow2):
  _check_groups(x, size)
  grouped = x.reshape(-1, size, x.shape[-1])
  return magnitude(grouped, how, (1,), pow2)[:, 0]


def _group_size(size=128, **_):
  return size


def _group_init(x, *, size=128, **_):
  _check_groups(x, size)  # when a layer is built; there are no variables
  return {}, {}


@scale(init=_group_init, group=_group_size, roles=("weight",))
def group_l1(x, params, stats, mode, *, size: Whole(1) = 128, pow2=False):
  """Mean magnitude per output and group of `size` inputs.

  Args:
    x: kernel `[in, out]`, `in` a multiple of `size`.
    size: consecutive inputs that share a scale.
    pow2: round to the nearest power of two.

  Returns:
    `[in / size, out]`.
  """
  del params, mode
  return Measured(_group_magnitude(x, "l1", size, pow2), stats)


@scale(init=_group_init, group=_group_size, roles=("weight",))
def group_max(x, params, stats, mode, *, size: Whole(1) = 128, pow2=False):
  """Largest magnitude per output and group of `size` inputs; see `group_l1`."""
  del params, mode
  return Measured(_group_magnitude(x, "max", size, pow2), stats)
