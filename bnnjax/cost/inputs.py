"""The arguments of a traced function: arrays, and what each of them is."""

import inspect
import numbers
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import jax

from bnnjax import deprecated
from bnnjax.cost import variables

Rebuild = Callable[[Sequence[Any]], Any]  # an argument from the traced arrays


class Inputs:
  """Flattens arguments: splits modules, traces arrays, keeps the rest.

  Attributes:
    traced: the arrays.
    kinds: what each of them is: `Stored`, `STATE` or `DATA`.
    notes: how arguments were read, as `(argument, text)`.
  """

  def __init__(self, fn: Callable, args: tuple, kwargs: dict, params: Any):
    self.traced: list[Any] = []
    self.kinds: list[variables.Stored | str] = []
    self.notes: list[tuple[str, str]] = []
    names = argument_names(fn, len(args))
    several = isinstance(params, (tuple, list, set, frozenset, range))
    wanted = tuple(params) if several else (params,)
    for i in wanted:
      if type(i) is not int or not 0 <= i < len(args):
        raise ValueError(
          f"`params` names positional arguments 0 to {len(args) - 1}, got {i!r}."
        )
    self._rebuild = [
      self._argument(arg, names[i], i in wanted) for i, arg in enumerate(args)
    ]
    self._keywords = {
      name: self._argument(arg, name, False) for name, arg in kwargs.items()
    }

  def call(self, fn: Callable, xs: Sequence[Any]) -> Any:
    """Calls `fn` with the arguments, their arrays replaced by `xs`."""
    return fn(
      *(rebuild(xs) for rebuild in self._rebuild),
      **{name: rebuild(xs) for name, rebuild in self._keywords.items()},
    )

  def owner(self, fn: Any) -> Rebuild:
    """A module, or a pytree with methods: its arrays are parameters."""
    if variables.is_module(fn):
      return self._module(fn, "")
    return self._tree(fn, "", variables.PARAMETER)

  def _argument(self, arg: Any, name: str, param: bool) -> Rebuild:
    if variables.is_module(arg):
      return self._module(arg, "")
    if variables.is_binarized(arg):
      return self._binarized(arg)
    if not param and variables.is_linen(arg):
      text = (
        "read as variables of Linen: 'params' are parameters, 'batch_stats'"
        " statistics of batch norms."
      )
      self.notes.append((name, text))
      return self._linen(arg)
    kind = variables.PARAMETER if param else variables.DATA
    return self._tree(arg, name, kind)

  def _tree(self, arg: Any, name: str, kind: str) -> Rebuild:
    """A pytree whose own arrays are of one kind."""
    leaves, tree = jax.tree_util.tree_flatten_with_path(
      arg, is_leaf=lambda x: x is not arg and variables.is_container(x)
    )
    if variables.is_variable(arg):
      found = variables.variable_leaves(arg, [name])
      return self._unflattened(tree, [self._leaf(*leaf) for leaf in found])
    if variables.is_callable_pytree(arg):
      kind = variables.PARAMETER
    parts = []
    for path, leaf in leaves:
      # A box around an array (`nn.Partitioned`) is not part of its name.
      boxed = len(path) > 1 and path[-1] == jax.tree_util.GetAttrKey("value")
      names = [variables.key(k) for k in (path[:-1] if boxed else path)]
      if variables.is_module(leaf):
        parts.append(self._module(leaf, ".".join(names)))
      elif variables.is_container(leaf):
        parts.append(self._tree(leaf, ".".join(names) or name, kind))
      elif variables.is_array(leaf):
        stored = variables.stored(names or [name], leaf, kind)
        parts.append(self._leaf(leaf, stored))
      else:
        parts.append(lambda _, leaf=leaf: leaf)
    return self._unflattened(tree, parts)

  def _unflattened(self, tree: Any, parts: Sequence[Rebuild]) -> Rebuild:
    return lambda xs: jax.tree.unflatten(tree, [part(xs) for part in parts])

  def _linen(self, collections: Mapping) -> Rebuild:
    """Collections of variables; paths leave out the collection's name."""
    parts = {
      name: self._tree(tree, name, variables.linen_kind(name))
      for name, tree in collections.items()
    }
    like = type(collections)
    return lambda xs: like({name: part(xs) for name, part in parts.items()})

  def _binarized(self, given: Mapping) -> Rebuild:
    """Parameters of `bnnjax.convert.functions`; those of Linen may be inside."""
    parts = {}
    for name, kind in variables.BINARIZED.items():
      linen = name == "params" and variables.is_linen(given[name])
      parts[name] = (
        self._linen(given[name])
        if linen
        else self._tree(given[name], name, kind)
      )
    return lambda xs: {name: part(xs) for name, part in parts.items()}

  def _leaf(self, leaf: Any, kind: variables.Stored | str) -> Rebuild:
    at = len(self.traced)
    self.traced.append(leaf)
    self.kinds.append(kind)
    return lambda xs: xs[at]

  def _module(self, module: Any, prefix: str) -> Rebuild:
    """Splits a module; the result merges it again from traced arrays."""
    nnx = sys.modules["flax.nnx"]
    graph, state = nnx.split(module)
    leaves = variables.module_leaves(module, state, prefix)
    parts = [self._leaf(*leaf) for leaf in leaves]
    tree = jax.tree.structure(state)
    if tree.num_leaves != len(parts):
      raise AssertionError(f"{tree.num_leaves} leaves, {len(parts)} variables")
    rebuild = self._unflattened(tree, parts)
    return lambda xs: nnx.merge(graph, rebuild(xs))


def argument_names(fn: Callable, n: int) -> list[str]:
  """Names of `n` positional arguments, `arg2` where the signature has none."""
  try:
    names = list(inspect.signature(fn).parameters)
  except (TypeError, ValueError):
    names = []
  return (names + [f"arg{i}" for i in range(len(names), n)])[:n]


def check_shapes(name: str, given: Mapping[str, Any]) -> None:
  """Raises if the shape of an argument is not made of numbers.

  Raises:
    ValueError: a symbolic dimension, with the argument and what to give.
  """
  for argument, value in given.items():
    for path, x in _shaped(value):
      symbols = {str(d) for d in x.shape if not isinstance(d, numbers.Integral)}
      if not symbols:
        continue
      one = tuple(1 if str(d) in symbols else d for d in x.shape)
      dtype = getattr(x.dtype, "name", str(x.dtype))
      raise ValueError(
        f"Cannot count {name}: `{argument}{jax.tree_util.keystr(path)}` has the"
        f" symbolic dimension {', '.join(map(repr, sorted(symbols)))} in its"
        f" shape {tuple(x.shape)}. A cost is that of one size: give numbers, as"
        f" in jax.ShapeDtypeStruct({one}, {dtype!r}), and count once for every"
        " size you need."
      )


def _shaped(tree: Any) -> Iterator[tuple[tuple, Any]]:
  """`(path, array)` of everything in a pytree, modules included."""
  leaves, _ = jax.tree_util.tree_flatten_with_path(
    tree, is_leaf=variables.is_module
  )
  for path, x in leaves:
    if variables.is_module(x):
      state = sys.modules["flax.nnx"].state(x)
      yield from ((path + more, leaf) for more, leaf in _shaped(state))
    elif variables.is_array(x):
      yield path, x


__getattr__ = deprecated.old_names(
  __name__,
  {
    "BATCH_STAT": "bnnjax.cost.variables.BATCH_STAT",
    "STAT": "bnnjax.cost.variables.STAT",
    "STATE": "bnnjax.cost.variables.STATE",
    "is_foreign": "bnnjax.cost.variables.is_callable_pytree",
    "kind_of": "bnnjax.cost.variables.kind_of",
  },
)
