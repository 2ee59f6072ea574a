"""`Report`: what a function costs, in every unit of the field."""

import dataclasses
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from bnnjax.core.registry import unknown
from bnnjax.cost import definition_versions as definitions_lib
from bnnjax.cost import energy, metrics, render, sizes
from bnnjax.cost.ledger import Parameter, Row, tally
from bnnjax.errors import nearest

Rule = str | Callable[[int, int], int]


@dataclasses.dataclass(frozen=True)
class Report:
  """The cost of one traced function.

  Every figure of `bnnjax.cost.metrics.METRICS` is an attribute, unless a method
  below gives it with options: `report.ace`, `report.bops`, `report.ops`,
  `report.total_macs`. `definitions` says what they mean.

  Attributes:
    name: the function.
    rows: one per contraction and pair of widths, in program order.
    replaced: contractions that run in the place of work that declares its own
      cost (`core.declared_cost`); in no figure but `extra_macs`.
    parameters: what is stored.
    work: element-wise operations as `(scope, operation, count)`.
    activation_bits: peak of live activations at dtype and at tagged widths.
    warnings: what may make the count wrong: lost tags, unknown trip counts,
      zero padding of {-1,+1}.
    notes: what is counted as declared, for the reader to know.
    stored_unknown: whether the counter saw no parameters of a function that may
      have some, as a note says: tables then show no figures of them.
  """

  name: str
  rows: tuple[Row, ...]
  parameters: tuple[Parameter, ...] = ()
  work: tuple[tuple[str, str, int], ...] = ()
  activation_bits: tuple[int, int] = (0, 0)
  warnings: list[str] = dataclasses.field(default_factory=list)
  notes: list[str] = dataclasses.field(default_factory=list)
  replaced: tuple[Row, ...] = ()
  stored_unknown: bool = False

  def __getattr__(self, name: str) -> Any:
    """A figure, by its key in `METRICS`."""
    if name not in metrics.METRICS:
      near = nearest(name, metrics.METRICS)
      raise AttributeError(f"A report has no figure {name!r}.{near}")
    return metrics.METRICS[name].of(self)

  def __dir__(self) -> Iterable[str]:
    return {*super().__dir__(), *metrics.METRICS}

  @property
  def macs(self) -> dict[tuple[int, int], int]:
    """MACs by `(w_bits, a_bits)`, sorted."""
    return tally(((r.w_bits, r.a_bits), r.macs) for r in self.rows)

  @property
  def macs_by_name(self) -> dict[str, int]:
    """MACs by `"w1a1"`, in the order of `macs`."""
    return {f"w{w}a{a}": n for (w, a), n in self.macs.items()}

  def cpu64_x64(self, rule: Rule = "max") -> int:
    """64 times CPU64, exact; see `cpu64`."""
    if not callable(rule):
      if not isinstance(rule, str) or rule not in metrics.CPU64:
        raise unknown("CPU64 rule", rule, metrics.CPU64)
      rule = metrics.CPU64[rule]
    return sum(r.macs * rule(r.w_bits, r.a_bits) for r in self.rows)

  def cpu64(self, rule: Rule = "max") -> float:
    """Cost on 64-bit words.

    Args:
      rule: `"max"`: `max(w, a) / 64` a MAC and 1 above 8 bits; `"product"`:
        `min(w * a, 64) / 64`; or a function `(w_bits, a_bits) -> 64ths`.

    Raises:
      ValueError: unknown rule.
    """
    return self.cpu64_x64(rule) / 64

  def energy(
    self, table: "str | Mapping[str, float]" = "45nm", *, dram: bool = False
  ) -> float:
    """Picojoules of the MACs; see `bnnjax.cost.energy`.

    Args:
      table: `"45nm"`, `"7nm"`, or `{"mul": pJ, "add": pJ}`.
      dram: add what it takes to read the deployed weight bytes once from DRAM;
        a table of your own then has `"dram"`, pJ a byte.

    Raises:
      ValueError: unknown table, or one without an entry.
    """
    total = energy.of_rows(self.rows, table)
    if dram:
      total += energy.from_dram(self.weight_bytes("deployed"), table)
    return total

  @property
  def parameter_count(self) -> int:
    """Elements of trained arrays."""
    return sum(p.size for p in self.parameters if p.trained)

  @property
  def kernel_count(self) -> int:
    """Elements of the arrays that dots and convolutions read."""
    return sum(p.size for p in self.parameters if p.role == "kernel")

  @property
  def weights_by_bits(self) -> dict[int, int]:
    """Kernel elements by stored width."""
    kernels = [p for p in self.parameters if p.role == "kernel"]
    return tally((p.bits, p.size) for p in kernels)

  def weight_bits(self, convention: str = "packed") -> int:
    """Bits of the stored arrays; see `weight_bytes`."""
    return sizes.weight_bits(self.parameters, convention)

  def weight_bytes(self, convention: str = "packed") -> int:
    """Bytes of the stored arrays, rounded up.

    Args:
      convention: a key of `bnnjax.cost.sizes.CONVENTIONS`, where each is
        defined; `"packed"` is kernels only at their true width.

    Raises:
      ValueError: unknown convention.
    """
    return -(-self.weight_bits(convention) // 8)

  @property
  def elementwise_by_scope(self) -> dict[str, dict[str, int]]:
    """Element-wise operations by named scope and operation."""
    out: dict[str, dict[str, int]] = {}
    for scope, name, n in self.work:
      table = out.setdefault(scope, {})
      table[name] = table.get(name, 0) + n
    return out

  def scalar_operations(self, scope: str) -> int:
    """Operations of all scopes called `scope`, one per element and scope.

    The count of the busiest operation in each scope whose last name matches,
    which is PokeBNN's way of counting (`batch_norm_sops` and so on).
    """
    return sum(
      max(table.values())
      for path, table in self.elementwise_by_scope.items()
      if path.rpartition("/")[2] == scope
    )

  def activation_bytes(self, deployed: bool = False) -> int:
    """Peak of live activations, unfused, weights left out.

    Args:
      deployed: count tagged arrays at their tagged width.
    """
    return -(-self.activation_bits[bool(deployed)] // 8)

  @property
  def definitions(self) -> dict[str, str]:
    """What every figure means."""
    return definitions_lib.text()

  def table(self, format: str = "rich", by: str = "layer") -> str:
    """The rows as text, with totals and definitions below.

    Args:
      format: `"rich"`, `"markdown"` or `"csv"`.
      by: `"layer"` (one line per layer and widths), `"scope"` (per named
        scope) or `"bits"` (per pair of widths).

    Raises:
      ValueError: unknown format or grouping.
    """
    return render.table(self, format, by)

  def to_json(
    self, rows: bool = False, definitions: bool = True
  ) -> dict[str, Any]:
    """Plain numbers and strings, ready for `json.dumps`.

    Args:
      rows: also list the contractions.
      definitions: say what the figures mean. If not, the version of
        `bnnjax.cost.definition_versions` stands there, as in records.
    """
    out = {
      "name": self.name,
      **{key: f.of(self) for key, f in metrics.METRICS.items()},
      "warnings": list(self.warnings),
      "notes": list(self.notes),
      "definitions": self.definitions
      if definitions
      else definitions_lib.VERSION,
    }
    if rows:
      out["rows"] = [
        {
          **dataclasses.asdict(r),
          "shapes": [list(s) for s in r.shapes],
          "parameters": list(r.parameters),
          "ace": r.ace,
        }
        for r in self.rows
      ]
    return out

  def compare(self, other: "Report") -> "render.Comparison":
    """Both reports, figure by figure."""
    return render.Comparison(self, other)

  def plot(self, ax: Any = None, metric: str = "ace") -> Any:
    """Stacked bar of the layers, one colour per pair of widths.

    Args:
      ax: matplotlib axes; a new figure when `None`.
      metric: `"ace"` or `"macs"`.

    Returns:
      The axes.

    Raises:
      ImportError: matplotlib is missing.
      ValueError: unknown metric.
    """
    return render.plot(self, ax, metric)

  def __str__(self) -> str:
    return self.table("markdown", "bits")

  def _repr_html_(self) -> str:
    return render.html(self)
