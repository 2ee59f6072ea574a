"""Options of the optax factories: their ranges, and whether they matter."""

import functools
import math
from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import optax

from bnnjax.core import registry, signature

OPTIMIZERS = (
  "adam", "adamw", "sgd", "lamb", "lion", "nadam", "radam", "rmsprop", "adamax"
)  # fmt: skip
# Ranges by the name of the option, the same in every factory of optax: a test,
# and the range in words.
_SHARE = (lambda x: 0 <= x < 1, "in [0, 1)")
_POSITIVE = (lambda x: x > 0, "above 0")
_RANGES: dict[str, tuple[Callable[[float], bool], str]] = {
  "b1": _SHARE,
  "b2": _SHARE,
  "decay": _SHARE,
  "momentum": _SHARE,
  "eps": _POSITIVE,
  "eps_root": (lambda x: x >= 0, "0 or above"),
  "initial_scale": (lambda x: x >= 0, "0 or above"),
  "threshold": _POSITIVE,
}
# Arguments for which `config.optim` has its own fields.
_FIELDS = {"learning_rate": "lr", "weight_decay": "weight_decay", "mask": None}


def check(name: str, options: Mapping[str, Any]) -> None:
  """Raises if a factory is unknown, or options do not fit it.

  Args:
    name: of the factory in optax.
    options: its keyword arguments.

  Raises:
    ValueError: the factory is not one of `OPTIMIZERS`; or an option is unknown
      (with the nearest name), out of range, of another type, a field of
      `config.optim`, or without effect beside the others, e.g. `nesterov`
      without `momentum`.
  """
  if name not in OPTIMIZERS:
    raise registry.unknown("optimizer", name, OPTIMIZERS)
  factory = signature.of(getattr(optax, name))
  known = {k: a.default for k, a in factory.items() if k not in _FIELDS}
  for key, value in options.items():
    if key in _FIELDS:
      field = _FIELDS[key]
      instead = f" Set `optim.{field}`." if field else ""
      raise ValueError(f"`optim.options` of {name} has no {key!r}.{instead}")
    if key not in known:
      raise registry.unknown(f"entry of `optim.options` of {name}", key, known)
    _check_value(f"`optim.options.{key}` of {name}", key, value, known[key])
  pairs = tuple(options.items())
  for key, value in pairs:
    if key not in _RANGES and known[key] is None:
      continue  # a dtype may be stated although it is the default one
    if value != known[key] and not _matters(name, pairs, key):
      raise ValueError(
        f"`optim.options.{key}` of {name} has no effect beside"
        f" {sorted(set(options) - {key})}, got {value!r}: leave it out, or set"
        " the option that it belongs to."
      )


def _check_value(what: str, key: str, value: Any, default: Any) -> None:
  if key in _RANGES or isinstance(default, float):
    fits, words = _RANGES.get(key, (lambda x: True, "a finite number"))
    if value is None and default is None:
      return
    number = isinstance(value, (int, float)) and not isinstance(value, bool)
    # An int may be larger than any float.
    if not number or not abs(value) < math.inf or not fits(value):
      raise ValueError(f"{what} must be {words}, got {value!r}.")
  elif isinstance(default, bool) and not isinstance(value, bool):
    raise ValueError(f"{what} must be True or False, got {value!r}.")
  elif default is None and value is not None:
    try:
      jnp.dtype(value)
    except TypeError:
      raise ValueError(f"{what} must be a dtype, got {value!r}.") from None


@functools.lru_cache
def _matters(name: str, options: tuple[tuple[str, Any], ...], key: str) -> bool:
  """Whether leaving an option out changes the optimizer's program (jaxpr)."""
  rest = tuple(pair for pair in options if pair[0] != key)
  return _program(name, options) != _program(name, rest)


def _program(name: str, options: tuple[tuple[str, Any], ...]) -> str:
  try:
    rule = getattr(optax, name)(1.0, **dict(options))
  except TypeError as error:
    raise ValueError(f"`optim.options` of {name}: {error}.") from error

  def step(params, grads):
    return rule.update(grads, rule.init(params), params)

  return str(jax.make_jaxpr(step)(jnp.ones((2, 2)), jnp.ones((2, 2))))
