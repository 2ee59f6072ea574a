import dataclasses
from typing import TYPE_CHECKING, Any

import pytest

from bnnjax.core import signature

if TYPE_CHECKING:
  from somewhere import Unknown


def function(x, y: "int" = 2, *rest, flag: bool = False, **more):
  return x


def unresolved(x: "Unknown", y: int = 2):
  return x


@dataclasses.dataclass
class Data:
  size: int
  name: str = "a"


class Empty:
  pass


def test_arguments_of_a_function():
  read = signature.of(function)
  assert list(read) == ["x", "y", "flag"]
  assert read.open_ended
  assert read["x"].default is signature.REQUIRED
  assert [a.by_name for a in read.values()] == [False, False, True]
  assert read.defaults == {"y": 2, "flag": False}
  assert read.hints == {"y": int, "flag": bool}
  assert list(read.only(["flag"])) == ["flag"]


def test_a_name_that_only_type_checkers_know_is_anything():
  assert signature.of(unresolved).hints == {"x": Any, "y": int}


def test_a_class_is_read_without_self():
  assert list(signature.of(Data)) == ["size", "name"]
  assert signature.of(Data).hints == {"size": int, "name": str}
  assert not signature.of(Empty)


@pytest.mark.parametrize("thing", [3, type("C", (), {"__call__": 3})(), max])
def test_what_has_no_signature(thing):
  assert not signature.of(thing)
