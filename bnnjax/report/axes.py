"""Cost axes of a Pareto figure, and whether runs can share one."""

import dataclasses
from collections.abc import Iterable, Mapping
from typing import Any

from bnnjax import errors
from bnnjax.errors import UserError
from bnnjax.report import comparability, fields


@dataclasses.dataclass(frozen=True)
class Axis:
  """A cost.

  Attributes:
    name: what `--axis` takes.
    label: what figures and tables call it.
    unit: in words.
    path: of the field of a record, see `bnnjax.report.fields`.
    factor: what the recorded value is multiplied by.
    defined: the name of its definition in `bnnjax.cost.definition_versions`;
      empty for what is measured, not counted.
  """

  name: str
  label: str
  unit: str
  path: str
  factor: float = 1.0
  defined: str = ""

  @property
  def title(self) -> str:
    """Label and unit."""
    return f"{self.label}, {self.unit}"

  def read(self, record: fields.Record) -> float | None:
    """The cost of a run; `None` if its record does not hold it."""
    found = fields.number(record, self.path)
    try:
      return None if found is None else self.factor * float(found)
    except OverflowError:  # a whole number of more than 308 digits
      return None


AXES: dict[str, Axis] = {
  axis.name: axis
  for axis in (
    Axis("ace", "ACE", "1-bit MACs per example", "cost.ace", defined="ACE"),
    Axis("bops", "BOPs", "1-bit MACs per example", "cost.bops", defined="BOPs"),
    Axis(
      "bytes",
      "deployed size",
      "bytes",
      "cost.weight_bytes_by_convention.deployed",
      defined="weight bytes",
    ),
    Axis(
      "bpw",
      "stored bits per weight",
      "bits",
      "cost.bits_per_weight",
      defined="bpw",
    ),
    Axis(
      "energy",
      "energy of the MACs at 45 nm",
      "uJ per example",
      "cost.energy_pj.45nm",
      factor=1e-6,
      defined="energy",
    ),
    Axis("cpu_seconds", "CPU time of the run", "s", "cpu_seconds"),
  )
}


def axis(name: str) -> Axis:
  """The axis of a name.

  Raises:
    UserError: no such axis; the message says the nearest one.
  """
  if name not in AXES:
    raise errors.unknown("axis", name, AXES)
  return AXES[name]


def check_definitions(records: Iterable[fields.Record], of: Axis) -> list[str]:
  """Checks that the costs of runs were counted by one definition.

  Returns:
    What the reader should know: runs that do not say their definition.

  Raises:
    UserError: the definitions of the axis differ; the message names runs of
      each.
  """
  if not of.defined:
    return []
  names: dict[str, list[str]] = {}  # of runs, by what their records hold
  held = {}
  silent = []
  for record in records:
    found = record["cost"].get("definitions")
    if found is None:
      silent.append(record["name"])
      continue
    key = repr(found) if isinstance(found, Mapping) else f"version {found}"
    held[key] = found
    names.setdefault(key, []).append(record["name"])
  texts: dict[str, list[str]] = {}
  for key in names if len(names) > 1 else ():
    text = _definition(held[key], of) or f"not known here ({key:.40})"
    texts.setdefault(text, []).extend(names[key])
  if len(texts) > 1:
    listed = "; ".join(
      f"{comparability.some(n)}: {text:.250}" for text, n in texts.items()
    )
    raise UserError(
      f"These runs cannot share the axis {of.label}: they follow different"
      f" definitions. {listed}. Count the older ones again, or leave them out."
    )
  if silent:
    return [
      f"No definition of {of.label} on record for {comparability.some(silent)}."
    ]
  return []


def _definition(held: Any, of: Axis) -> str | None:
  """The definition of an axis in a record, in one line."""
  from bnnjax.cost import definition_versions  # imports jax

  if not isinstance(held, Mapping):
    try:
      held = definition_versions.text(held)
    except ValueError:
      return None  # of a later version
  found = held.get(of.defined)
  return " ".join(str(found).split()) if found is not None else None
