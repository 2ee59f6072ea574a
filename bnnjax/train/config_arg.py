"""What follows the colon of `--config=FILE:ARG,...`."""

from typing import Any

from ml_collections import ConfigDict

from bnnjax.core import registry


def parse_arg(arg: str, **defaults: Any) -> ConfigDict:
  """The arguments of a config file: what follows the colon.

  Args:
    arg: `"smoke,width=0.5"`; a bare name means True.
    **defaults: every argument that the file takes, with its default, whose type
      decides how a value is read.

  Raises:
    ValueError: an argument that the file does not take, or a value of another
      type.

  Example:
    >>> parse_arg("smoke,width=0.5", smoke=False, width=1.0).width
    0.5
  """
  parsed = dict(defaults)
  for part in filter(None, (arg or "").split(",")):
    key, given, text = part.partition("=")
    if key not in defaults:
      raise registry.unknown("argument of this config", key, defaults)
    kind = type(defaults[key])
    try:
      if kind is bool:
        bools = {"": True, "1": True, "true": True, "0": False, "false": False}
        parsed[key] = bools[text.lower()]
      else:
        parsed[key] = kind(text)
    except (KeyError, ValueError):
      wanted = f"`{key}={kind.__name__}`"
      raise ValueError(
        f"Argument {part!r} of this config: expected {wanted}"
        f"{'' if given else ', got no value'}."
      ) from None
  return ConfigDict(parsed)
