"""Which axes of the devices' mesh share a weight: metadata of its variable.

A layer says it when it makes the variable. The metadata is flax's
(`out_sharding`; `nnx.get_partition_spec` reads it), the names are axes of the
mesh of `bnnjax.train.sharding`.
"""

from typing import Any

from flax import nnx

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


def mark(module: nnx.Module, parallel: str) -> None:
  """Lets the parameters of a weight's home be shared as its layer says.

  In place. Those that are not column-parallel, as by default, say so themselves
  and keep it.
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
