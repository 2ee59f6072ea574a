"""The mesh axes that shard a weight, as metadata of its variable.

A layer sets them when it creates the variable. The metadata is flax's
(`out_sharding`, read by `nnx.get_partition_spec`); the names are axes of the
mesh of `bnnjax.train.sharding`.
"""

from typing import Any

from flax import nnx

from bnnjax.core import registry

# The last two axes of a weight: the contracted one and the output.
AXES = {"column": ("fsdp", "tensor"), "row": ("tensor", "fsdp")}


def metadata(parallel: str, ndim: int) -> dict[str, Any]:
  """Metadata of a weight `[..., before, after]`; none for fewer than two axes.

  Args:
    parallel: `"column"`: the mesh axis `tensor` shards the output; `"row"`: it
      shards the contracted axis, right behind a column-parallel layer.
    ndim: number of axes of the weight.

  Raises:
    ValueError: any other word.

  Example:
    >>> nnx.Param(jnp.ones((8, 4)), **metadata("row", 2)).out_sharding
    ('tensor', 'fsdp')
  """
  if parallel not in AXES:
    raise registry.unknown("way to be `parallel`", parallel, AXES)
  if ndim < 2:
    return {}
  names = (*(None,) * (ndim - 2), *AXES[parallel])
  # With eager sharding flax would need a mesh when a layer is created.
  return {"out_sharding": names, "eager_sharding": False}


def mark(module: nnx.Module, parallel: str) -> None:
  """Sets the sharding of a weight module's parameters as its layer asks.

  In place. Parameters that set another sharding than the default (column)
  themselves keep it.
  """
  if parallel == "column":
    return
  for _, variable in nnx.iter_graph(module):
    if not isinstance(variable, nnx.Param) or len(variable.shape) < 2:
      continue
    default, names = (
      metadata(way, len(variable.shape))["out_sharding"]
      for way in ("column", parallel)
    )
    if variable.get_metadata("out_sharding", default) == default:
      variable.set_metadata(out_sharding=names)
