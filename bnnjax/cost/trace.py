"""From a function or a module to a jaxpr and the parameters behind it."""

import dataclasses
import inspect
import math
import sys
from collections.abc import Callable, Sequence
from typing import Any

import jax

from bnnjax.cost import results
from bnnjax.cost.values import dtype_bits

_BN_MARK = "BatchStat"


@dataclasses.dataclass(frozen=True)
class Stored:
  """A parameter or statistic among the inputs of the jaxpr."""

  path: str
  shape: tuple[int, ...]
  dtype_bits: int
  trained: bool  # nnx.Param (or named in `params=`), not a statistic

  @property
  def size(self) -> int:
    return math.prod(self.shape)


@dataclasses.dataclass(frozen=True)
class Traced:
  """A traced function.

  Attributes:
    name: what to call it in messages.
    jaxpr: the closed jaxpr.
    stored: parameters and statistics.
    inputs: for each input of the jaxpr: index into `stored`, `True` for other
      fixed state, `False` for data.
    captured: bytes of arrays that the function closes over.
    warnings: results that cannot be seen, so that their work seems dead.
  """

  name: str
  jaxpr: Any
  stored: tuple[Stored, ...]
  inputs: tuple[int | bool, ...]
  captured: int
  warnings: tuple[str, ...] = ()


def is_module(x: Any) -> bool:
  """Whether `x` is an `nnx.Module`; does not import flax to find out."""
  nnx = sys.modules.get("flax.nnx")
  return nnx is not None and isinstance(x, nnx.Module)


def is_array(x: Any) -> bool:
  """Arrays and ShapeDtypeStructs are traced; everything else is static."""
  return hasattr(x, "shape") and hasattr(x, "dtype") and not callable(x)


def name_of(fn: Any) -> str:
  """A name for messages."""
  if is_module(fn):
    return type(fn).__name__
  return getattr(fn, "__qualname__", None) or type(fn).__name__


def _key(entry: Any) -> str:
  for field in ("key", "name", "idx"):
    if hasattr(entry, field):
      return str(getattr(entry, field))
  return str(entry)


def _stored(path: Sequence[str], leaf: Any, trained: bool) -> Stored:
  text = ".".join(p for p in path if p)
  return Stored(text, tuple(leaf.shape), dtype_bits(leaf.dtype), trained)


def _module_leaves(state: Any, prefix: str):
  """Leaves of a split module: `(leaf, Stored | True | False)`."""
  nnx = sys.modules["flax.nnx"]
  variables = jax.tree_util.tree_flatten_with_path(
    state, is_leaf=lambda x: isinstance(x, nnx.Variable)
  )[0]
  for path, variable in variables:
    names = [prefix, *map(_key, path)]
    kinds = {c.__name__ for c in type(variable).__mro__}
    inner = jax.tree_util.tree_flatten_with_path(variable)[0]
    for more, leaf in inner:
      extra = [_key(k) for k in more if _key(k) not in ("value", "raw_value")]
      if "Param" in kinds and "TrainingParam" not in kinds:
        yield leaf, _stored(names + extra, leaf, True)
      elif _BN_MARK in kinds:
        yield leaf, _stored(names + extra, leaf, False)
      else:
        yield leaf, not any("Rng" in kind for kind in kinds)


class _Inputs:
  """Flattens arguments: modules are split, arrays traced, the rest kept."""

  def __init__(self, fn: Callable, args: tuple, kwargs: dict, params: Any):
    self.traced: list[Any] = []
    self.stored: list[Stored] = []
    self.kinds: list[int | bool] = []
    names = _argument_names(fn, len(args))
    wanted = (params,) if isinstance(params, int) else tuple(params)
    for i in wanted:
      if not isinstance(i, int) or not 0 <= i < len(args):
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
    leaves, tree = jax.tree_util.tree_flatten_with_path(arg, is_leaf=is_module)
    parts = []
    for path, leaf in leaves:
      names = [_key(k) for k in path]
      if is_module(leaf):
        parts.append(self.module(leaf, ".".join(names)))
      elif is_array(leaf):
        stored = _stored(names or [name], leaf, True) if param else False
        parts.append(self._leaf(leaf, stored))
      else:
        parts.append(lambda _, leaf=leaf: leaf)
    return lambda xs: jax.tree.unflatten(tree, [p(xs) for p in parts])

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
      self._leaf(leaf, kind) for leaf, kind in _module_leaves(state, prefix)
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


def _argument_names(fn: Callable, n: int) -> list[str]:
  try:
    names = list(inspect.signature(fn).parameters)
  except (TypeError, ValueError):
    names = []
  return (names + [f"arg{i}" for i in range(len(names), n)])[:n]


def trace(fn: Any, args: tuple, kwargs: dict, params: Any) -> Traced:
  """Traces `fn` on shapes.

  Raises:
    TypeError: `fn` cannot be called.
    ValueError: it does not trace; the message says what to change.
  """
  if not callable(fn):
    raise TypeError(
      f"`count` takes a function or an nnx.Module, got {type(fn).__name__}."
    )
  name = name_of(fn)
  owner = fn if is_module(fn) else getattr(fn, "__self__", None)
  method = None
  if is_module(owner):
    method = type(fn).__call__ if owner is fn else fn.__func__
  named = dict(zip(_argument_names(fn, len(args)), args)) | kwargs
  results.refuse_symbols(name, {"self": owner} | named if method else named)
  inputs = _Inputs(fn, args, kwargs, params)
  rebuild = inputs.module(owner, "") if method else None
  unseen: list[str] = []

  def flat(*xs):
    called = results.noted(method, rebuild(xs)) if method else results.noted(fn)
    out, given = inputs.call(called, xs)
    return results.arrays(out, given, xs, unseen)

  try:
    jaxpr = jax.make_jaxpr(flat)(*inputs.traced)
  except Exception as error:
    raise _refused(name, args, kwargs, error) from error
  captured = sum(
    math.prod(x.shape) * dtype_bits(x.dtype) // 8
    for x in getattr(jaxpr, "consts", ())
    if getattr(x, "ndim", 0) >= 2
  )
  kinds = tuple(True if k == -1 else k for k in inputs.kinds)
  warnings = tuple(map(results.warning, dict.fromkeys(unseen)))
  return Traced(name, jaxpr, tuple(inputs.stored), kinds, captured, warnings)


def _shape_text(x: Any) -> str:
  if is_array(x):
    return f"{getattr(x.dtype, 'name', x.dtype)}{list(x.shape)}"
  return type(x).__name__ if is_module(x) else repr(x)[:40]


def _refused(name, args, kwargs, error: Exception) -> ValueError:
  given = ", ".join(
    [_shape_text(x) for x in jax.tree.leaves(args, is_leaf=is_module)[:6]]
    + [f"{k}={_shape_text(v)}" for k, v in list(kwargs.items())[:4]]
  )
  errors = jax.errors
  if isinstance(error, errors.NonConcreteBooleanIndexError):
    remedy = (
      "A shape depends on data (boolean indexing): use `jnp.where(mask, x, 0)`"
      " or `jnp.nonzero(..., size=n)`."
    )
  elif isinstance(
    error, errors.ConcretizationTypeError | errors.TracerIntegerConversionError
  ):
    remedy = (
      "A shape or a Python `if`/`int()` depends on the values of an array: use"
      " `jnp.where`/`lax.cond`, give sizes as Python numbers (they are not"
      " traced), or `size=` where a result has a data-dependent length."
    )
  elif isinstance(error, errors.TracerArrayConversionError):
    remedy = "It calls numpy on a traced array: use `jax.numpy` instead."
  elif "ShapeDtypeStruct" in str(error):
    remedy = (
      "It uses a ShapeDtypeStruct as an array: pass every abstract array (or"
      " module) as an argument of `count` instead of closing over it."
    )
  else:
    remedy = (
      "Check the argument shapes; pass arrays as `jax.ShapeDtypeStruct(shape,"
      " dtype)` and options as Python values."
    )
  first = (str(error).strip().splitlines() or [""])[0]
  return ValueError(
    f"Cannot count {name}({given}): it does not trace:"
    f" {type(error).__name__}: {first} {remedy}"
  )
