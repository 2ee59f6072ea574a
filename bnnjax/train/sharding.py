"""How the arrays of a run lie on its devices.

The mesh has three axes. `data` and `fsdp` share a batch; `fsdp` and `tensor`
share kernels and tables, by what they contract and by what they give, with what
binarizes them and their optimizer moments. All other arrays are whole on every
device. The compiler inserts the communication; layers know nothing of it.
"""

import functools
from collections.abc import Mapping
from typing import Any

import jax
import optax
from flax import nnx
from jax.sharding import AxisType, Mesh, NamedSharding, PartitionSpec

from bnnjax.layers.binarize import STACKED
from bnnjax.train.state import Network, State, make_state

AXES = ("data", "fsdp", "tensor")
BATCH = ("data", "fsdp")
# Tables of words, and layers that contract what `tensor` shares of the one
# before: theirs are split the other way round.
CROSSED = frozenset(
  ("embedding", "table", "out", "out_proj", "x_proj", "down", "reduce")
)

Names = tuple[str | None, ...]


def make_mesh(fsdp: int = 1, tensor: int = 1) -> Mesh:
  """The mesh of all devices; what `fsdp` and `tensor` leave is `data`.

  Raises:
    ValueError: numbers that do not divide the devices.
  """
  devices = jax.device_count()
  if min(fsdp, tensor) < 1 or devices % (fsdp * tensor):
    raise ValueError(
      f"`mesh` must share {devices} device(s): got fsdp={fsdp} times"
      f" tensor={tensor}."
    )
  shape = (devices // (fsdp * tensor), fsdp, tensor)
  # Auto: the compiler shards; layers need not say how.
  return jax.make_mesh(shape, AXES, axis_types=(AxisType.Auto,) * len(AXES))


def fitting_mesh(fsdp: int, tensor: int) -> Mesh:
  """As `make_mesh`, or where the numbers do not fit, each device has all."""
  fits = jax.device_count() % (fsdp * tensor) == 0
  return make_mesh(fsdp, tensor) if fits else make_mesh()


def names(path: tuple[Any, ...], variable: nnx.Variable) -> Names:
  """The mesh axis that shares each axis of a parameter.

  Args:
    path: in the model.
    variable: its shape is read, and whether it is a stack of layers'.
  """
  shape = variable.shape
  stacked = bool(variable.get_metadata(STACKED, False))
  if len(shape) - stacked < 2 or not variable.get_metadata("decay", True):
    return (None,) * len(shape)
  last = ("tensor", "fsdp") if CROSSED & set(path) else ("fsdp", "tensor")
  return (*(None,) * (len(shape) - 2), *last)


def spec(axes: Names, shape: tuple[int, ...], mesh: Mesh) -> PartitionSpec:
  """The names whose axis divides that of the array; the others are left out."""
  fits = (a and size % mesh.shape[a] == 0 for a, size in zip(axes, shape))
  return PartitionSpec(*(a if f else None for a, f in zip(axes, fits)))


def of_params(network: Network, mesh: Mesh) -> Any:
  """Shardings of the parameters, a tree like them."""

  def place(path, variable):
    found = spec(names(path, variable), variable.shape, mesh)
    return NamedSharding(mesh, found)

  params = nnx.to_flat_state(nnx.state(network.abstract, nnx.Param))
  placed = [(path, place(path, variable)) for path, variable in params]
  return nnx.to_pure_dict(nnx.from_flat_state(placed))


def new_state(
  network: Network,
  optimizer: optax.GradientTransformation,
  seed: int,
  mesh: Mesh,
) -> State:
  """The state before the first step; no device ever holds more than its part."""
  if mesh.size == mesh.shape["data"]:
    whole = NamedSharding(mesh, PartitionSpec())
    return jax.device_put(make_state(network, optimizer, seed), whole)
  placed = of(abstract_state(network, optimizer, mesh))
  make = functools.partial(make_state, network, optimizer, seed)
  return jax.jit(make, out_shardings=placed)()


def of(tree: Any) -> Any:
  """The shardings of arrays, a tree like them."""
  return jax.tree.map(lambda x: x.sharding, tree)


def abstract_state(
  network: Network, optimizer: optax.GradientTransformation, mesh: Mesh
) -> State:
  """Shapes and shardings of a state; nothing is allocated."""
  shapes = jax.eval_shape(lambda: make_state(network, optimizer, 0))
  return jax.tree.map(
    lambda x, where: jax.ShapeDtypeStruct(x.shape, x.dtype, sharding=where),
    shapes,
    of_state(network, shapes, mesh),
  )


def of_state(
  network: Network, abstract: Mapping[str, Any], mesh: Mesh
) -> dict[str, Any]:
  """Shardings of a training state, a tree like it.

  Args:
    network: of the state.
    abstract: the state, or shapes like it.
    mesh: from `make_mesh`.
  """
  whole, params = NamedSharding(mesh, PartitionSpec()), of_params(network, mesh)
  leaves = jax.tree_util.tree_leaves_with_path
  shapes = {path: leaf.shape for path, leaf in leaves(abstract["params"])}
  placed = {(path, shapes[path]): where for path, where in leaves(params)}

  def moment(path, leaf):
    """As the parameter whose path ends that of the moment, if it is like it."""
    ends = ((path[i:], leaf.shape) for i in range(len(path)))
    return next((placed[end] for end in ends if end in placed), whole)

  others = {k: v for k, v in abstract.items() if k not in ("params", "opt")}
  return {
    **jax.tree.map(lambda _: whole, others),
    "params": params,
    "opt": jax.tree_util.tree_map_with_path(moment, abstract["opt"]),
  }
