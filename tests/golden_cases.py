"""Vectors from the authors' code: cases discovered from the keys of a file.

The folder is `tests/golden`, or what `BNNJAX_GOLDEN` names: every shape and
hyper-parameter comes from the file, so another folder of the same kind passes
the same tests.
"""

import collections
import dataclasses
import os
import pathlib
import re

import numpy as np
import pytest

FOLDER = pathlib.Path(
  os.environ.get("BNNJAX_GOLDEN") or pathlib.Path(__file__).parent / "golden"
)


# File -> names of the cases that some test runs; see `unclaimed`.
CLAIMED: dict[str, set[str]] = collections.defaultdict(set)


@dataclasses.dataclass(frozen=True)
class Case:
  """One case: its arrays, its hyper-parameters, the stem of its name."""

  name: str
  arrays: dict[str, np.ndarray]
  hp: dict[str, float]

  def __getitem__(self, key: str) -> np.ndarray:
    return self.arrays[key]

  def __contains__(self, key: str) -> bool:
    return key in self.arrays

  def get(self, key: str, default=None):
    return self.arrays.get(key, default)

  @property
  def has_zeros(self) -> bool:
    """Whether exact zeros were planted (names with `_z`)."""
    return "z" in self.name.split("_")

  def hyper(self, name: str, pattern: str | None = None, default=None) -> float:
    """A hyper-parameter: its key, else `pattern` in the name, else `default`."""
    if name in self.hp:
      return self.hp[name]
    found = re.search(pattern, self.name) if pattern else None
    if found:
      return float(found.group(1))
    if default is None:
      raise KeyError(f"Case {self.name!r} has no hyper-parameter {name!r}.")
    return default


def _cases(file: str, separator: str = "/") -> list[Case]:
  cases: dict[str, tuple[dict, dict]] = {}
  with np.load(FOLDER / file) as arrays:
    for key in arrays.files:
      name, _, field = key.rpartition(separator)
      plain, hyper = cases.setdefault(name, ({}, {}))
      if match := re.match(r"hp[_.](.*)", field):
        hyper[match.group(1)] = float(arrays[key].ravel()[0])
      else:
        plain[field] = arrays[key]
  return [Case(n, *c) for n, c in cases.items()]


def load(
  file: str, stems: str | tuple[str, ...] = "", separator: str = "/"
) -> list[Case]:
  """Cases of a file whose names start with one of `stems`."""
  found = [c for c in _cases(file, separator) if c.name.startswith(stems)]
  assert found, f"{FOLDER / file} holds no case named {stems}*"
  CLAIMED[file] |= {c.name for c in found}
  return found


def unclaimed(file: str, separator: str = "/") -> set[str]:
  """Names of the cases of a file that no test has asked for so far."""
  return {c.name for c in _cases(file, separator)} - CLAIMED[file]


def parametrize(
  file: str, stems: str | tuple[str, ...] = "", separator: str = "/"
):
  """Runs a test once a case; the test takes `case` and is marked golden.

  Args:
    file: name in the folder.
    stems: how the names of the cases start.
    separator: between the name of a case and that of an array.
  """

  def mark(test):
    cases = [pytest.param(c, id=c.name) for c in load(file, stems, separator)]
    return pytest.mark.golden(pytest.mark.parametrize("case", cases)(test))

  return mark


def stem(case: Case) -> str:
  """The case's name without a trailing index."""
  return re.sub(r"_\d+$", "", case.name)


def arrays(file: str) -> dict[str, np.ndarray]:
  """All arrays of a file that holds one case."""
  with np.load(FOLDER / file) as found:
    return {key: found[key] for key in found.files}


def close(got, want, tolerance: float, what: str = "") -> None:
  """Asserts `max |got - want| <= tolerance max(max |want|, 1e-3)`."""
  got, want = np.asarray(got, np.float64), np.asarray(want, np.float64)
  assert got.shape == want.shape, f"{what}: shape {got.shape}, not {want.shape}"
  error = np.max(np.abs(got - want), initial=0)
  size = max(np.max(np.abs(want), initial=0), 1e-3)
  assert error <= tolerance * size, f"{what}: off by {error / size:.3g}"


def check(got, want, tolerance: float, what: str = "", skip=None) -> None:
  """Asserts `max |got - want| / (1 + |want|) <= tolerance`.

  Args:
    skip: bool array of elements that are left out.
  """
  got, want = np.asarray(got, np.float64), np.asarray(want, np.float64)
  assert got.shape == want.shape, f"{what}: shape {got.shape}, not {want.shape}"
  error = np.abs(got - want) / (1 + np.abs(want))
  if skip is not None:
    assert np.mean(skip) < 0.5, f"{what}: most elements would be left out"
    error = np.where(skip, 0, error)
  worst = np.unravel_index(np.argmax(error), error.shape) if error.size else ()
  assert np.max(error, initial=0) <= tolerance, (
    f"{what}: off by {error[worst]:.3g} at {worst}: got {got[worst]:.6g}, want"
    f" {want[worst]:.6g}"
  )
