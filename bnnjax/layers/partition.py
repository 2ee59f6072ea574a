"""Which axes of the devices' mesh share a weight: metadata of its variable.

A layer says it when it makes the variable. The metadata is flax's
(`out_sharding`; `nnx.get_partition_spec` reads it), the names are axes of the
mesh of `bnnjax.train.sharding`.
"""

from typing import Any

from bnnjax.core import registry

# The last two axes of a weight: what is contracted, and what that gives.
AXES = {"column": ("fsdp", "tensor"), "row": ("tensor", "fsdp")}


def metadata(parallel: str, ndim: int) -> dict[str, Any]:
  """Metadata of a weight `[..., before, after]`; none where an axis lacks.

  Args:
    parallel: `"column"`: `tensor` shares what the layer gives; `"row"`: what it
      contracts, which is right behind a column-parallel layer.
    ndim: axes of the weight.

  Raises:
    ValueError: another word.

  Example:
    >>> nnx.Param(jnp.ones((8, 4)), **metadata("row", 2)).out_sharding
    ('tensor', 'fsdp')
  """
  if parallel not in AXES:
    raise registry.unknown("way to be `parallel`", parallel, AXES)
  if ndim < 2:
    return {}
  names = (*(None,) * (ndim - 2), *AXES[parallel])
  # Eagerly, flax would ask for a mesh when a layer is made.
  return {"out_sharding": names, "eager_sharding": False}
