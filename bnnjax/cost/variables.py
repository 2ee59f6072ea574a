"""What an array among the arguments is: parameter, statistic, state or data.

The type and metadata of an `nnx.Variable` decide, and the collection of a Linen
variable. The arrays of a callable pytree (Equinox) are parameters.
"""

import dataclasses
import math
import sys
from collections.abc import Iterator, Mapping, Sequence
from fractions import Fraction
from typing import Any

import jax

from bnnjax.cost.abstract_value import dtype_bits

# Kinds of what is stored.
PARAMETER, BATCH_STAT, STAT = "parameter", "batch_stat", "stat"
# Kinds of what is not: fixed state that the deployed network lacks, and data.
STATE, DATA = "state", "data"
# Collections of Linen; any other one holds statistics.
_LINEN = {
  "params": PARAMETER,
  "batch_stats": BATCH_STAT,
  **dict.fromkeys(("cache", "intermediates", "perturbations"), DATA),
}
# Parts of the parameters of a function of `bnnjax.convert.functions`.
BINARIZED = {
  "params": PARAMETER,
  "binarizers": PARAMETER,
  "training_only": STATE,
}


@dataclasses.dataclass(frozen=True)
class Stored:
  """A parameter or statistic among the inputs of the jaxpr.

  Attributes:
    path, shape, dtype_bits: of the array.
    kind: `"parameter"`, `"batch_stat"` (of a batch norm) or `"stat"`.
    modules: paths of all modules that hold it; more than one if it is tied.
    words: an integer array, which may hold packed bits.
    role: declared by the variable: `"mask"`, `"scale"` or `"shift"` of a
      low-bit weight; if empty, its use decides.
    weight: path of the weight that it is a term of; empty if it is a weight.
    holds: weights per element, if it is declared to be words of packed bits.
  """

  path: str
  shape: tuple[int, ...]
  dtype_bits: int
  kind: str = PARAMETER
  modules: tuple[str, ...] = ()
  words: bool = False
  role: str = ""
  weight: str = ""
  holds: Fraction | None = None

  @property
  def size(self) -> int:
    return math.prod(self.shape)

  @property
  def trained(self) -> bool:
    """A parameter, not a statistic."""
    return self.kind == PARAMETER


def is_module(x: Any) -> bool:
  """Whether `x` is an `nnx.Module`; does not import flax to find out."""
  nnx = sys.modules.get("flax.nnx")
  return nnx is not None and isinstance(x, nnx.Module)


def is_variable(x: Any) -> bool:
  """Whether `x` is an `nnx.Variable`."""
  nnx = sys.modules.get("flax.nnx")
  return nnx is not None and isinstance(x, nnx.Variable)


def is_callable_pytree(x: Any) -> bool:
  """Whether `x` is a pytree that can be called: a module of another library.

  `jax.tree_util.Partial` is not: its arrays are arguments.
  """
  partial = isinstance(x, jax.tree_util.Partial)
  return callable(x) and not partial and not jax.tree_util.all_leaves([x])


def is_container(x: Any) -> bool:
  """Whether `x` determines what its own arrays are."""
  return is_module(x) or is_variable(x) or is_callable_pytree(x)


def kind_of(variable: Any) -> str:
  """What an `nnx.Variable` is; random state, caches and the like are data.

  Metadata or class attributes add what the type does not say:
  `deployed=False` for what the deployed network lacks, and `statistic=True` for
  what is measured and not trained.
  """
  nnx = sys.modules["flax.nnx"]
  passing = nnx.RngState, nnx.Cache, nnx.Intermediate, nnx.OptState
  if isinstance(variable, passing):
    return DATA
  if not getattr(variable, "deployed", True):
    return STATE
  if isinstance(variable, nnx.BatchStat):
    return BATCH_STAT
  return STAT if getattr(variable, "statistic", False) else PARAMETER


def is_array(x: Any) -> bool:
  """Arrays and ShapeDtypeStructs are traced; everything else is static."""
  return hasattr(x, "shape") and hasattr(x, "dtype") and not callable(x)


def key(entry: Any) -> str:
  """One step of a pytree path, as text."""
  for field in ("key", "name", "idx"):
    if hasattr(entry, field):
      return str(getattr(entry, field))
  return str(entry)


def stored(
  path: Sequence[str],
  leaf: Any,
  kind: str = PARAMETER,
  modules: Sequence[str] = (),
) -> Stored | str:
  """A stored array, or `STATE` or `DATA`."""
  if jax.dtypes.issubdtype(leaf.dtype, jax.dtypes.prng_key):
    return DATA
  if kind in (STATE, DATA):
    return kind
  text = ".".join(p for p in path if p)
  modules = tuple(modules) or (text.rpartition(".")[0],)
  words = jax.dtypes.issubdtype(leaf.dtype, jax.numpy.integer)
  return Stored(
    text, tuple(leaf.shape), dtype_bits(leaf.dtype), kind, modules, words
  )


Leaf = tuple[Any, Stored | str]


def variable_leaves(
  variable: Any, names: Sequence[str], modules: Sequence[str] = ()
) -> Iterator[Leaf]:
  """Leaves of a variable, each with what it is."""
  kind = kind_of(variable)
  told = {
    "role": getattr(variable, "role", ""),
    "holds": getattr(variable, "holds", None),
  }
  if getattr(variable, "term", None) is not None:
    told["weight"] = ".".join(p for p in names[:-1] if p)
  for more, leaf in jax.tree_util.tree_flatten_with_path(variable)[0]:
    extra = [key(k) for k in more if key(k) not in ("value", "raw_value")]
    found = stored([*names, *extra], leaf, kind, modules)
    if isinstance(found, Stored):
      found = dataclasses.replace(found, **told)
    yield leaf, found


def module_leaves(module: Any, state: Any, prefix: str) -> Iterator[Leaf]:
  """Leaves of a split module, each with what it is."""
  owners = _owners(module, prefix)
  for path, variable in jax.tree_util.tree_flatten_with_path(
    state, is_leaf=is_variable
  )[0]:
    names = [key(k) for k in path]
    yield from variable_leaves(
      variable, [prefix, *names], owners.get(tuple(names), ())
    )


def _owners(module: Any, prefix: str) -> dict[tuple[str, ...], list[str]]:
  """All modules that hold a tied variable, by each of its paths."""
  nnx = sys.modules["flax.nnx"]
  places: dict[int, list[tuple[str, ...]]] = {}
  for path, part in nnx.iter_modules(module):
    for name, x in vars(part).items():
      if is_variable(x):
        names = (*map(str, path), str(name))
        places.setdefault(id(x), []).append(names)
  return {
    path: [".".join(filter(None, (prefix, *p[:-1]))) for p in paths]
    for paths in places.values()
    for path in paths
  }


def is_linen(x: Any) -> bool:
  """Whether `x` looks like `{"params": {...}, "batch_stats": {...}}`."""
  core = sys.modules.get("flax.core")
  kinds = (dict, core.FrozenDict) if core is not None else (dict,)
  return isinstance(x, kinds) and isinstance(x.get("params"), Mapping)


def is_binarized(x: Any) -> bool:
  """Whether `x` looks like the parameters that `binarize_fn` returns."""
  return isinstance(x, Mapping) and set(x) == set(BINARIZED)


def linen_kind(collection: str) -> str:
  """What the variables of a collection of Linen are."""
  return _LINEN.get(collection, STAT)
