"""Rules for the values of hyper-parameters, written as annotations.

    def ede(x, *, t: Real(1e-4, 1e4) = 10.0, strict: bool = False)

A rule reads a value, and its text completes the sentence "`t` must be ...". An
argument without a rule accepts values like its default: a finite number, a
bool, or a string.
"""

import dataclasses
import math
from collections.abc import Callable, Mapping
from typing import Any

import jax
import numpy as np

from bnnjax.core import signature

LARGEST = float(np.finfo(np.float32).max)
EXACT = 2**24  # whole numbers up to here are float32 numbers


class Refused(ValueError):
  """The value breaks a rule."""


@dataclasses.dataclass(frozen=True)
class Real:
  """A finite number in `[low, high]`, or a schedule between two of them.

  Attributes:
    low, high: the bounds.
    above: whether `low` itself is excluded.
    none: whether `None` is allowed, too.
  """

  low: float = -LARGEST
  high: float = LARGEST
  above: bool = False
  none: bool = False

  def read(self, value: Any) -> Any:
    """The value; raises `Refused`."""
    if isinstance(value, jax.Array) or (self.none and value is None):
      return value  # an array is traced: the value of a schedule
    if isinstance(ends := getattr(value, "ends", None), tuple):
      for end in ends:
        self.read(end)
      return value
    if not _is_number(value) or not self._holds(value):
      raise Refused
    exact = isinstance(value, int) and abs(value) <= EXACT
    return value if exact else float(value)

  def _holds(self, value) -> bool:
    below = self.low < value if self.above else self.low <= value
    return below and value <= self.high  # False for NaN and infinities

  def __str__(self) -> str:
    low, high = self.low > -LARGEST, self.high < LARGEST
    text = "a finite number"
    if low and high:
      text = f"a number from {self.low:g} to {self.high:g}"
      text += f" ({self.low:g} excluded)" if self.above else ""
    elif low or high:
      bound = f"above {self.low:g}" if self.above else f">= {self.low:g}"
      text = f"a number {bound if low else f'<= {self.high:g}'}"
    return text + " or None" * self.none


@dataclasses.dataclass(frozen=True)
class Whole:
  """A whole number in `[low, high]`."""

  low: int = 1
  high: int = 2**31 - 1

  def read(self, value: Any) -> int:
    """The value as an int; raises `Refused`."""
    if isinstance(value, (float, np.floating)) or not _is_number(value):
      raise Refused
    if not self.low <= value <= self.high:
      raise Refused
    return int(value)

  def __str__(self) -> str:
    bounded = self.high < 2**31 - 1
    return "a whole number " + (
      f"from {self.low} to {self.high}" if bounded else f">= {self.low}"
    )


@dataclasses.dataclass(frozen=True)
class Choice:
  """One of a few values of one type."""

  options: tuple[Any, ...]

  def read(self, value: Any) -> Any:
    """The value; raises `Refused`."""
    kinds = {type(option) for option in self.options}
    if type(value) not in kinds or value not in self.options:
      raise Refused
    return value

  def __str__(self) -> str:
    return "one of " + ", ".join(map(repr, self.options))


@dataclasses.dataclass(frozen=True)
class Either:
  """A value that one of two rules allows."""

  first: Any
  second: Any

  @property
  def options(self) -> tuple[Any, ...]:
    """The names among the values, to suggest for a typo."""
    rules = (self.first, self.second)
    return tuple(o for r in rules for o in getattr(r, "options", ()))

  def read(self, value: Any) -> Any:
    """The value; raises `Refused`."""
    try:
      return self.first.read(value)
    except Refused:
      return self.second.read(value)

  def __str__(self) -> str:
    return f"{self.first} or {self.second}"


@dataclasses.dataclass(frozen=True)
class Text:
  """Any string."""

  def read(self, value: Any) -> str:
    """The value; raises `Refused`."""
    if not isinstance(value, str):
      raise Refused
    return value

  def __str__(self) -> str:
    return "a string"


POSITIVE = Real(0, above=True)
FACTOR = Real(0, 6e4, above=True)  # float16 holds its product with a value
FLAG = Choice((False, True))
_LIKE = {bool: FLAG, int: Real(), float: Real(), str: Text()}


class Defaults(dict):
  """Hyper-parameters and their defaults, with the `rules` of their values."""

  def __init__(self, values: Mapping[str, Any], rules: Mapping[str, Any]):
    super().__init__(values)
    self.rules = dict(rules)


def defaults_of(function: Callable[..., Any]) -> Defaults:
  """Hyper-parameters of a formula: its keyword-only arguments."""
  read = signature.of(function)
  return as_defaults(read.only(k for k, a in read.items() if a.by_name))


def as_defaults(arguments: signature.Arguments) -> Defaults:
  """Arguments as hyper-parameters, each with its rule."""
  values = {name: argument.default for name, argument in arguments.items()}
  rules = {k: rule_of(v, arguments.hints.get(k)) for k, v in values.items()}
  return Defaults(values, {k: r for k, r in rules.items() if r is not None})


def rule_of(default: Any, annotation: Any = None) -> Any:
  """The rule of an argument: its annotation, or that of its default's type."""
  own = hasattr(annotation, "read")
  return annotation if own else _LIKE.get(type(default))


def shown(value: Any) -> str:
  """A value as text for a message, shortened to 60 characters."""
  try:
    text = repr(value)
  except ValueError:  # Python does not print an int of over 4,300 digits
    text = f"an int of {value.bit_length()} bits"
  return text if len(text) <= 60 else f"{text[:57]}..."


def _is_number(value: Any) -> bool:
  if isinstance(value, (bool, np.bool_)):
    return False
  if isinstance(value, (float, np.floating)):
    return math.isfinite(value)
  return isinstance(value, (int, np.integer))
