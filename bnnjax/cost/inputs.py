"""The arguments of a traced function: what is stored, what is data."""

import dataclasses
import inspect
import math
import sys
from collections.abc import Callable, Mapping, Sequence
from fractions import Fraction
from typing import Any

import jax

from bnnjax.cost.values import dtype_bits

# Kinds of what is stored.
PARAMETER, BATCH_STAT, STAT = "parameter", "batch_stat", "stat"
STATE = "state"  # fixed, but not stored in the deployed network
LINEN = {"params": PARAMETER, "batch_stats": BATCH_STAT}
_PASSING = frozenset(("cache", "intermediates", "perturbations"))  # of Linen


@dataclasses.dataclass(frozen=True)
class Stored:
  """A parameter or statistic among the inputs of the jaxpr.

  Attributes:
    path, shape, dtype_bits: of the array.
    kind: `"parameter"`, `"batch_stat"` (of a batch norm) or `"stat"`.
    modules: paths of all modules that hold it; more than one if it is tied.
    words: an integer array, which may hold packed bits.
    role: what the variable says that it is: `"mask"`, `"scale"`, `"shift"` of a
      low-bit weight; empty: what it is read as.
    weight: path of the weight that it is a term of; empty: it is one itself.
    holds: weights in an element, if it says that it is words of packed bits.
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


def is_foreign(x: Any) -> bool:
  """Whether `x` is a pytree that can be called: a module of another library.

  `jax.tree_util.Partial` is not: its arrays are arguments.
  """
  partial = isinstance(x, jax.tree_util.Partial)
  return callable(x) and not partial and not jax.tree_util.all_leaves([x])


def _is_whole(x: Any) -> bool:
  return is_module(x) or is_variable(x) or is_foreign(x)


def kind_of(variable: Any) -> str | None:
  """What an `nnx.Variable` is; `None` is data (random state, cache, ...).

  Metadata or class attributes of the variable say what its type does not:
  `deployed=False` for what the deployed network does not have, and
  `statistic=True` for what is measured and not trained.
  """
  nnx = sys.modules["flax.nnx"]
  passing = nnx.RngState, nnx.Cache, nnx.Intermediate, nnx.OptState
  if isinstance(variable, passing):
    return None
  if not getattr(variable, "deployed", True):
    return STATE
  if isinstance(variable, nnx.BatchStat):
    return BATCH_STAT
  return STAT if getattr(variable, "statistic", False) else PARAMETER


def is_array(x: Any) -> bool:
  """Arrays and ShapeDtypeStructs are traced; everything else is static."""
  return hasattr(x, "shape") and hasattr(x, "dtype") and not callable(x)


def _key(entry: Any) -> str:
  for field in ("key", "name", "idx"):
    if hasattr(entry, field):
      return str(getattr(entry, field))
  return str(entry)


def _stored(
  path: Sequence[str],
  leaf: Any,
  kind: str | None = PARAMETER,
  modules: Sequence[str] = (),
) -> Stored | bool:
  """A stored array; `True` is other fixed state, `False` data."""
  if kind is None or jax.dtypes.issubdtype(leaf.dtype, jax.dtypes.prng_key):
    return False
  if kind == STATE:
    return True
  text = ".".join(p for p in path if p)
  modules = tuple(modules) or (text.rpartition(".")[0],)
  words = jax.dtypes.issubdtype(leaf.dtype, jax.numpy.integer)
  return Stored(
    text, tuple(leaf.shape), dtype_bits(leaf.dtype), kind, modules, words
  )


def _variable_leaves(variable: Any, names: Sequence[str], modules=()):
  """Leaves of a variable: `(leaf, Stored | True | False)`."""
  kind = kind_of(variable)
  told = {
    "role": getattr(variable, "role", ""),
    "holds": getattr(variable, "holds", None),
  }
  if getattr(variable, "term", None) is not None:
    told["weight"] = ".".join(p for p in names[:-1] if p)
  for more, leaf in jax.tree_util.tree_flatten_with_path(variable)[0]:
    extra = [_key(k) for k in more if _key(k) not in ("value", "raw_value")]
    stored = _stored([*names, *extra], leaf, kind, modules)
    if isinstance(stored, Stored):
      stored = dataclasses.replace(stored, **told)
    yield leaf, stored


def _module_leaves(module: Any, state: Any, prefix: str):
  """Leaves of a split module: `(leaf, Stored | True | False)`."""
  owners = _owners(module, prefix)
  for path, variable in jax.tree_util.tree_flatten_with_path(
    state, is_leaf=is_variable
  )[0]:
    names = [_key(k) for k in path]
    yield from _variable_leaves(
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


class Inputs:
  """Flattens arguments: modules are split, arrays traced, the rest kept."""

  def __init__(self, fn: Callable, args: tuple, kwargs: dict, params: Any):
    self.traced: list[Any] = []
    self.stored: list[Stored] = []
    self.kinds: list[int | bool] = []
    self.notes: list[tuple[str, str]] = []
    names = argument_names(fn, len(args))
    several = isinstance(params, (tuple, list, set, frozenset, range))
    wanted = tuple(params) if several else (params,)
    for i in wanted:
      if type(i) is not int or not 0 <= i < len(args):
        raise ValueError(
          f"`params` names positional arguments 0 to {len(args) - 1}, got {i!r}."
        )
    self._rebuild = []
    for i, arg in enumerate(args):
      self._rebuild.append(self._add(arg, names[i], i in wanted))
    self._keywords = {k: self._add(v, k, False) for k, v in kwargs.items()}

  def _add(self, arg: Any, name: str, param: bool) -> Callable:
    if is_module(arg):
      return self.module(arg, "")
    if not param and _is_linen(arg):
      self.notes.append(
        (
          name,
          "read as variables of Linen: 'params' are parameters, 'batch_stats'"
          " statistics of batch norms.",
        )
      )
      return self._linen(arg)
    return self._tree(arg, name, PARAMETER if param else None)

  def _tree(self, arg: Any, name: str, kind: str | None) -> Callable:
    """A pytree whose own arrays are of one kind."""
    leaves, tree = jax.tree_util.tree_flatten_with_path(
      arg, is_leaf=lambda x: x is not arg and _is_whole(x)
    )
    if is_foreign(arg):
      kind = PARAMETER
    if is_variable(arg):
      found = _variable_leaves(arg, [name])
      parts = [self._leaf(leaf, k) for leaf, k in found]
      return lambda xs: jax.tree.unflatten(tree, [p(xs) for p in parts])
    parts = []
    for path, leaf in leaves:
      # A box around an array (`nn.Partitioned`) is no part of its name.
      boxed = len(path) > 1 and path[-1] == jax.tree_util.GetAttrKey("value")
      names = [_key(k) for k in (path[:-1] if boxed else path)]
      if is_module(leaf):
        parts.append(self.module(leaf, ".".join(names)))
      elif _is_whole(leaf):
        parts.append(self._tree(leaf, ".".join(names) or name, kind))
      elif is_array(leaf):
        stored = _stored(names or [name], leaf, kind)
        parts.append(self._leaf(leaf, stored))
      else:
        parts.append(lambda _, leaf=leaf: leaf)
    return lambda xs: jax.tree.unflatten(tree, [p(xs) for p in parts])

  def _linen(self, variables: Mapping) -> Callable:
    """Collections of variables; their names are no part of the paths."""
    parts = {
      name: self._tree(
        tree, name, None if name in _PASSING else LINEN.get(name, STAT)
      )
      for name, tree in variables.items()
    }
    like = type(variables)
    return lambda xs: like({name: p(xs) for name, p in parts.items()})

  def owner(self, fn: Any) -> Callable:
    """A module, or a pytree with methods: its arrays are parameters."""
    if is_module(fn):
      return self.module(fn, "")
    return self._tree(fn, "", PARAMETER)

  def _leaf(self, leaf: Any, kind: "Stored | bool") -> Callable:
    at = len(self.traced)
    if isinstance(kind, Stored):
      self.kinds.append(len(self.stored))
      self.stored.append(kind)
    else:
      # -1 marks fixed state: True would read as index 1.
      self.kinds.append(-1 if kind else False)
    self.traced.append(leaf)
    return lambda xs: xs[at]

  def module(self, module: Any, prefix: str) -> Callable:
    """Splits a module; the result merges it again from traced arrays."""
    nnx = sys.modules["flax.nnx"]
    graph, state = nnx.split(module)
    tree = jax.tree.structure(state)
    parts = [
      self._leaf(leaf, kind)
      for leaf, kind in _module_leaves(module, state, prefix)
    ]
    if tree.num_leaves != len(parts):
      raise AssertionError(f"{tree.num_leaves} leaves, {len(parts)} variables")

    def rebuild(xs):
      leaves = [p(xs) for p in parts]
      return nnx.merge(graph, jax.tree.unflatten(tree, leaves))

    return rebuild

  def call(self, fn: Callable, xs: Sequence[Any]) -> Any:
    return fn(
      *(p(xs) for p in self._rebuild),
      **{k: p(xs) for k, p in self._keywords.items()},
    )


def _is_linen(x: Any) -> bool:
  """Whether `x` looks like `{"params": {...}, "batch_stats": {...}}`."""
  core = sys.modules.get("flax.core")
  kinds = (dict, core.FrozenDict) if core is not None else (dict,)
  return isinstance(x, kinds) and isinstance(x.get("params"), Mapping)


def argument_names(fn: Callable, n: int) -> list[str]:
  try:
    names = list(inspect.signature(fn).parameters)
  except (TypeError, ValueError):
    names = []
  return (names + [f"arg{i}" for i in range(len(names), n)])[:n]
