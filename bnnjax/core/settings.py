"""A group of settings that records which of them were read.

A choice (a schedule, an optimizer, a kind of dataset) leaves some settings
without effect. Code reads the settings that it uses; if a user chose another
one, `refuse_unread` raises. One rule serves every group, instead of a list of
cases.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from bnnjax.core import registry


class Settings(Mapping[str, Any]):
  """A mapping that records which of its keys were read by name.

  Args:
    group: name for messages, such as "optim.latent".
    given: the chosen settings.
    defaults: all settings of the group. A value like its default is not a
      choice.
    strict: whether it is a choice, too.

  Raises:
    ValueError: an unknown setting; the message holds the nearest one.

  Example:
    >>> settings = Settings("optim", {"end_lr": 0.1}, {"lr": 1.0, "end_lr": 0.0})
    >>> settings["lr"]
    1.0
    >>> settings.refuse_unread()
    Traceback (most recent call last):
    ValueError: Nothing reads `optim.end_lr`, got 0.1: leave it out. ...
  """

  def __init__(
    self,
    group: str,
    given: Mapping[str, Any],
    defaults: Mapping[str, Any],
    *,
    strict: bool = False,
  ):
    for key in given:
      if key not in defaults:
        raise registry.unknown(f"field of `{group}`", key, defaults)
    self.group, self.read = group, set()
    self._values = {**defaults, **given}
    self._chosen = [
      k for k in given if strict or not same(given[k], defaults[k])
    ]

  def __getitem__(self, key: str) -> Any:
    self.read.add(key)
    return self._values[key]

  def __iter__(self) -> Iterator[str]:
    return iter(self._values)

  def __len__(self) -> int:
    return len(self._values)

  def refuse_unread(self, why: str = "") -> None:
    """Raises if a chosen setting was not read.

    Args:
      why: why a setting has no effect, such as "with the schedule 'constant'".

    Raises:
      ValueError: names the first such setting.
    """
    for key in self._chosen:
      if key not in self.read:
        raise ValueError(
          f"Nothing reads `{self.group}.{key}`{why and ' '}{why}, got"
          f" {self._values[key]!r}: leave it out. Read are"
          f" {', '.join(sorted(self.read)) or '(none)'}."
        )


def same(a: Any, b: Any) -> bool:
  """Whether two settings are equal; a list may equal a tuple."""
  if isinstance(a, (tuple, list)) and isinstance(b, (tuple, list)):
    return len(a) == len(b) and all(map(same, a, b))
  return (type(a) is type(b) and bool(a == b)) or _numbers(a, b)


def _numbers(a: Any, b: Any) -> bool:
  kinds = (int, float)
  return isinstance(a, kinds) and isinstance(b, kinds) and a == b
