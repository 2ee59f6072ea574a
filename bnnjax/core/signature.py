"""Arguments of functions and classes: the one place that reads signatures."""

import dataclasses
import functools
import inspect
import typing
from collections.abc import Callable, Iterable, Mapping
from typing import Any

REQUIRED = inspect.Parameter.empty


@dataclasses.dataclass(frozen=True)
class Argument:
  """One argument of a function.

  Attributes:
    default: `REQUIRED` if it has none.
    annotation: as written: a type, a rule of `core.hyper`, or `REQUIRED` if it
      has none.
    by_name: whether it is keyword-only.
  """

  default: Any = REQUIRED
  annotation: Any = REQUIRED
  by_name: bool = True


class Arguments(dict[str, Argument]):
  """Arguments by name, in order.

  Attributes:
    open_ended: whether any other name is accepted, too (`**options`).
    function: the function that has them, or `None`.
  """

  def __init__(
    self,
    arguments: Mapping[str, Argument] | Iterable[tuple[str, Argument]] = (),
    function: Callable | None = None,
    open_ended: bool = False,
  ):
    super().__init__(arguments)
    self.function = function
    self.open_ended = open_ended

  @property
  def defaults(self) -> dict[str, Any]:
    """Defaults of the arguments that have one."""
    return {k: a.default for k, a in self.items() if a.default is not REQUIRED}

  @functools.cached_property
  def hints(self) -> dict[str, Any]:
    """Annotations, with those written as strings evaluated.

    If one of them names something that its module has for type checkers alone,
    all strings become `Any`.
    """
    written = {
      k: a.annotation for k, a in self.items() if a.annotation is not REQUIRED
    }
    if self.function is None:
      return written
    try:
      known = typing.get_type_hints(inspect.unwrap(self.function))
      return {k: known[k] for k in written}
    except (NameError, AttributeError):
      return {k: Any if isinstance(h, str) else h for k, h in written.items()}

  def only(self, names: Iterable[str]) -> "Arguments":
    """Some of them."""
    kept = [(name, self[name]) for name in names]
    return Arguments(kept, self.function, self.open_ended)


def of(thing: Callable) -> Arguments:
  """The arguments of a function, or of a class's `__init__` without `self`.

  `*args` is left out. Empty if Python cannot tell the signature.
  """
  is_class = isinstance(thing, type)
  function = thing.__init__ if is_class else thing
  if function is object.__init__:
    return Arguments()
  try:
    parameters = list(inspect.signature(function).parameters.values())
  except (TypeError, ValueError):
    return Arguments()
  made, open_ended = {}, False
  for p in parameters[is_class:]:
    if p.kind is p.VAR_KEYWORD:
      open_ended = True
    elif p.kind is not p.VAR_POSITIONAL:
      made[p.name] = Argument(p.default, p.annotation, p.kind is p.KEYWORD_ONLY)
  return Arguments(made, function, open_ended)
