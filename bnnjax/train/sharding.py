"""How the arrays of a run are sharded over its devices.

The mesh has three axes. `data` and `fsdp` split a batch. `fsdp` and `tensor`
split kernels and tables along input and output; binarizers and optimizer moments
follow their weight. Every device holds all other arrays whole. The compiler
inserts the communication; a layer states which way round a weight is split when
it makes the weight (`bnnjax.layers.partition`).
"""

import functools
import math
from collections.abc import Mapping, Sequence
from typing import Any

import jax
import optax
from flax import nnx
from jax.sharding import AxisType, Mesh, NamedSharding, PartitionSpec

from bnnjax import deprecated
from bnnjax.core import registry
from bnnjax.layers import partition
from bnnjax.layers.variables import STACKED
from bnnjax.train.networks import Network
from bnnjax.train.state import State, make_state

AXES = ("data", "fsdp", "tensor")
BATCH = ("data", "fsdp")

Name = str | tuple[str, ...] | None
Names = tuple[Name, ...]


def make_mesh(fsdp: int = 1, tensor: int = 1) -> Mesh:
  """The mesh of all devices; `data` gets those that `fsdp` and `tensor` leave.

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
  """As `make_mesh`; if the numbers do not fit, each device holds everything."""
  fits = jax.device_count() % (fsdp * tensor) == 0
  return make_mesh(fsdp, tensor) if fits else make_mesh()


def batch_shardings(
  mesh: Mapping[str, int], data: Mapping[str, Any], parts: Sequence[int] = (1,)
) -> tuple[NamedSharding, NamedSharding]:
  """How a batch is split over the devices, and how an array is replicated.

  Args:
    mesh: `config.mesh`.
    data: `config.data`, with the sizes of batches.
    parts: microbatches of a step in each stage.

  Raises:
    ValueError: a mesh that does not fit the devices, or a batch that they, and
      the microbatches of a step, cannot share equally.
  """
  mesh = make_mesh(**mesh)
  devices = math.prod(mesh.shape[axis] for axis in BATCH)
  for field in ("batch_size", "eval_batch_size"):
    if data[field] % devices:
      raise ValueError(
        f"`data.{field}` must be a multiple of the {devices} devices that share"
        f" it, got {data[field]}."
      )
  for number in parts:
    if data["batch_size"] % (number * devices):
      raise ValueError(
        "`data.batch_size` must be a multiple of `optim.accumulate` times the"
        f" devices that share it: got {data['batch_size']} of {number} x"
        f" {devices}."
      )
  if devices % jax.process_count():
    raise ValueError(
      f"`mesh` leaves {devices} share(s) of a batch for {jax.process_count()}"
      " processes, each of which reads its own: lower `mesh.tensor`."
    )
  return (
    NamedSharding(mesh, PartitionSpec(BATCH)),
    NamedSharding(mesh, PartitionSpec()),
  )


def names(variable: nnx.Variable) -> Names:
  """The mesh axis over which each axis of a parameter is split.

  Its metadata say so (`out_sharding`, in axes of the mesh or by flax's rules for
  logical ones); without metadata a matrix is column-parallel.
  """
  ndim = len(variable.shape)
  given = tuple(nnx.get_partition_spec(variable).get_value())
  if given:
    return (*given, *(None,) * (ndim - len(given)))
  stacked = bool(variable.get_metadata(STACKED, False))
  if ndim - stacked < 2 or not variable.get_metadata("decay", True):
    return (None,) * ndim
  return partition.metadata("column", ndim)["out_sharding"]


def spec(axes: Names, shape: tuple[int, ...], mesh: Mesh) -> PartitionSpec:
  """The names whose mesh axis divides the axis of the array, `None` for others.

  Raises:
    ValueError: a name that is no axis of the mesh.
  """
  fits = (size % _devices(name, mesh) == 0 for name, size in zip(axes, shape))
  return PartitionSpec(*(a if f else None for a, f in zip(axes, fits)))


def _devices(name: Name, mesh: Mesh) -> int:
  """Number of devices along one axis of the mesh, or along several."""
  all_ = name if isinstance(name, tuple) else (name,)
  for one in all_:
    if one is not None and one not in mesh.shape:
      raise registry.unknown("axis of the mesh", one, mesh.shape)
  return math.prod(mesh.shape.get(one, 1) for one in all_)


def param_shardings(network: Network, mesh: Mesh) -> Any:
  """Shardings of the parameters, a tree like them."""

  def place(variable):
    found = spec(names(variable), variable.shape, mesh)
    return NamedSharding(mesh, found)

  params = nnx.to_flat_state(nnx.state(network.abstract, nnx.Param))
  placed = [(path, place(variable)) for path, variable in params]
  return nnx.to_pure_dict(nnx.from_flat_state(placed))


def new_state(
  network: Network,
  optimizer: optax.GradientTransformation,
  seed: int,
  mesh: Mesh,
) -> State:
  """The state before the first step; a device never holds more than its shard."""
  if mesh.size == mesh.shape["data"]:
    whole = NamedSharding(mesh, PartitionSpec())
    return jax.device_put(make_state(network, optimizer, seed), whole)
  placed = shardings_of(abstract_state(network, optimizer, mesh))
  make = functools.partial(make_state, network, optimizer, seed)
  return jax.jit(make, out_shardings=placed)()


def shardings_of(tree: Any) -> Any:
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
    state_shardings(network, shapes, mesh),
  )


def state_shardings(
  network: Network, abstract: Mapping[str, Any], mesh: Mesh
) -> dict[str, Any]:
  """Shardings of a training state, a tree like it.

  Args:
    network: of the state.
    abstract: the state, or shapes like it.
    mesh: from `make_mesh`.
  """
  whole, params = (
    NamedSharding(mesh, PartitionSpec()),
    param_shardings(network, mesh),
  )
  leaves = jax.tree_util.tree_leaves_with_path
  shapes = {path: leaf.shape for path, leaf in leaves(abstract["params"])}
  placed = {(path, shapes[path]): where for path, where in leaves(params)}

  def moment(path, leaf):
    """The sharding of the parameter whose path ends the moment's path."""
    ends = ((path[i:], leaf.shape) for i in range(len(path)))
    return next((placed[end] for end in ends if end in placed), whole)

  others = {k: v for k, v in abstract.items() if k not in ("params", "opt")}
  return {
    **jax.tree.map(lambda _: whole, others),
    "params": params,
    "opt": jax.tree_util.tree_map_with_path(moment, abstract["opt"]),
  }


__getattr__ = deprecated.old_names(
  __name__,
  {
    "of": "bnnjax.train.sharding.shardings_of",
    "of_params": "bnnjax.train.sharding.param_shardings",
    "of_state": "bnnjax.train.sharding.state_shardings",
  },
)
