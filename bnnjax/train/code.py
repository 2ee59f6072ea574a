"""Digests of the code that a user registered, as a part of a run's identity.

An estimator that is edited is another one, even if it keeps its name: its runs on
record are not those of a config that names it now. Code of bnnjax itself does not
count; records say its commit.
"""

import dataclasses
import dis
import functools
import inspect
import pathlib
import re
import sys
import sysconfig
import types
from collections.abc import Iterator, Mapping
from typing import Any

import jax
import numpy as np

from bnnjax.core import registry
from bnnjax.data import digest

_WORD = re.compile(r"[A-Za-z_]\w*")
_OURS = __name__.partition(".")[0]
_INSTALLED = [
  pathlib.Path(sysconfig.get_path(kind))
  for kind in ("stdlib", "purelib", "platlib")
]
_LOADS = ("LOAD_GLOBAL", "LOAD_NAME")
_SIMPLE = (bool, int, float, complex, str, bytes, types.NoneType, type(...))
# Of a class: where it stands, not what it does.
_PLACE = {
  "__annotations__", "__dict__", "__doc__", "__firstlineno__", "__module__",
  "__qualname__", "__static_attributes__", "__weakref__",
}  # fmt: skip


def of_config(config: Any) -> dict[str, str]:
  """Digests of what users registered and a config names, by kind and name.

  Formulas count with their defaults, the functions and constants that they use,
  and those of these; comments, docstrings and places do not. Data count by their
  content. Another minor version of Python compiles to other digests.

  Args:
    config: resolved, as a ConfigDict or as JSON.

  Example:
    >>> of_config({"model": {"act": "triangle(width=2.0)"}})
    {'estimator triangle': '0f8b...'}
  """
  fields = config.to_dict() if hasattr(config, "to_dict") else config
  found, words = {}, list(_words(fields))
  for word in words:
    for kind in registry.kinds():
      thing = registry.registered_table(kind).get(word)
      if kind == "source" or thing is None or _is_ours(kind, word):
        continue
      if f"{kind} {word}" not in found:
        found[f"{kind} {word}"] = of(thing)
        if kind == "method":  # its presets name more
          words.extend(_WORD.findall(repr(thing)))
  return dict(sorted(found.items()))


def _words(value: Any) -> Iterator[str]:
  """The words of all texts in a config."""
  if isinstance(value, Mapping):
    value = list(value.values())
  if isinstance(value, list | tuple):
    for one in value:
      yield from _words(one)
  elif isinstance(value, str):
    yield from _WORD.findall(value)


def _is_ours(kind: str, name: str) -> bool:
  origin = registry.origin(kind, name)
  return origin is not None and origin.partition(".")[0] == _OURS


def of(thing: Any) -> str:
  """Digest of the code of a function, a class, or an object made of these."""
  return digest.of(_Reader().read(thing))


class _Reader:
  """Turns code into JSON; what was read before is a number."""

  def __init__(self):
    self._seen: dict[int, tuple[int, Any]] = {}
    self._package = ""  # of what is read first

  def read(self, thing: Any) -> Any:
    if isinstance(thing, _SIMPLE):
      return repr(thing)
    if isinstance(thing, np.ndarray | np.generic | jax.Array):
      return digest.of(np.asarray(thing))
    if isinstance(thing, set | frozenset):
      return sorted(map(repr, thing))
    if isinstance(thing, list | tuple):
      return [self.read(one) for one in thing]
    if isinstance(thing, Mapping):
      return [[repr(key), self.read(one)] for key, one in thing.items()]
    if isinstance(thing, types.ModuleType):
      return thing.__name__
    if id(thing) in self._seen:
      return self._seen[id(thing)][0]
    self._seen[id(thing)] = len(self._seen), thing  # held: the id stays its own
    return self._object(thing)

  def _object(self, thing: Any) -> Any:
    if isinstance(thing, functools.partial):
      return self.read((thing.func, thing.args, thing.keywords))
    if isinstance(thing, property):
      return self.read((thing.fget, thing.fset))
    if isinstance(thing, staticmethod | classmethod | types.MethodType):
      return self.read(thing.__func__)
    name = f"{type(thing).__name__} {getattr(thing, '__qualname__', '')}"
    if isinstance(thing, types.FunctionType):
      return self._function(thing) if self._is_own(thing) else name
    if isinstance(thing, type):
      return self._class(thing) if self._is_own(thing) else name
    if dataclasses.is_dataclass(thing):
      fields = [f.name for f in dataclasses.fields(thing) if f.compare]
      values = [getattr(thing, f) for f in fields if f not in _PLACE]
      return [name, *map(self.read, values)]
    # E.g. of `jax.jit` and `jax.custom_vjp`, with a backward rule beside.
    wrapped = inspect.unwrap(thing)
    held = getattr(thing, "__dict__", {}).values()
    rules = [one for one in held if isinstance(one, types.FunctionType)]
    inner = [] if wrapped is thing else wrapped
    return [name, self.read(inner), *map(self.read, rules)]

  def _function(self, function: types.FunctionType) -> Any:
    cells = [self._cell(cell) for cell in function.__closure__ or ()]
    return [
      self._code(function.__code__, function),
      self.read(function.__defaults__),
      self.read(function.__kwdefaults__),
      cells,
    ]

  def _cell(self, cell: Any) -> Any:
    try:
      return self.read(cell.cell_contents)
    except ValueError:  # not set yet
      return None

  def _code(self, code: types.CodeType, function: types.FunctionType) -> Any:
    constants = [
      self._code(one, function)
      if isinstance(one, types.CodeType)
      else self.read(None if one == function.__doc__ else one)
      for one in code.co_consts
    ]
    names = function.__globals__
    used = [i.argval for i in dis.get_instructions(code) if i.opname in _LOADS]
    values = [names[name] for name in dict.fromkeys(used) if name in names]
    # Lists and dictionaries change while a run lasts: they are no code.
    values = [v for v in values if not isinstance(v, list | set | Mapping)]
    return [code.co_code.hex(), code.co_names, constants, self.read(values)]

  def _class(self, made: type) -> Any:
    members = [
      [name, self.read(value)]
      for name, value in sorted(vars(made).items())
      if name not in _PLACE
    ]
    return [members, [self.read(base) for base in made.__bases__]]

  def _is_own(self, thing: Any) -> bool:
    """Whether code is the user's, or of the package of what is read first."""
    module = getattr(thing, "__module__", None) or ""
    package = module.partition(".")[0]
    if package == _OURS:
      return False
    self._package = self._package or package
    file = getattr(sys.modules.get(module), "__file__", None)
    code = getattr(thing, "__code__", None)
    file = file or getattr(code, "co_filename", "")
    parents = pathlib.Path(file).parents
    return package == self._package or not any(p in parents for p in _INSTALLED)
