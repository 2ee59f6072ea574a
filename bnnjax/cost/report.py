"""`Report`: what a function costs, in every unit of the field."""

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any

from bnnjax.cost import metrics, recurrence, sizes, storage, views
from bnnjax.cost.energy import from_dram, of_rows
from bnnjax.cost.rows import Parameter, Row

Rule = str | Callable[[int, int], int]


@dataclasses.dataclass(frozen=True)
class Report:
  """The cost of one traced function; see `definitions` for every unit.

  Attributes:
    name: the function.
    rows: one per contraction and pair of widths, in program order.
    replaced: contractions that run in the place of work that declares its own
      cost (`core.counted`); in no figure but `extra_macs`.
    parameters: what is stored.
    work: element-wise operations as `(scope, operation, count)`.
    activation_bits: peak of live activations at dtype and at tagged widths.
    warnings: what may make the count wrong: lost tags, unknown trip counts,
      zero padding of {-1,+1}.
    notes: what is counted as declared, for the reader to know.
  """

  name: str
  rows: tuple[Row, ...]
  parameters: tuple[Parameter, ...] = ()
  work: tuple[tuple[str, str, int], ...] = ()
  activation_bits: tuple[int, int] = (0, 0)
  warnings: list[str] = dataclasses.field(default_factory=list)
  notes: list[str] = dataclasses.field(default_factory=list)
  replaced: tuple[Row, ...] = ()

  @property
  def macs(self) -> dict[tuple[int, int], int]:
    """MACs by `(w_bits, a_bits)`."""
    return metrics.macs(self.rows)

  @property
  def macs_by_name(self) -> dict[str, int]:
    """MACs by `"w1a1"`, in the order of `macs`."""
    return {f"w{w}a{a}": n for (w, a), n in self.macs.items()}

  @property
  def total_macs(self) -> int:
    return sum(r.macs for r in self.rows)

  @property
  def extra_macs(self) -> int:
    """MACs that run beyond declared work, e.g. by chunks of a recurrence."""
    return recurrence.extra_macs(self.rows, self.replaced)

  @property
  def ace(self) -> int:
    """Arithmetic computation effort; float counts 16x16."""
    return metrics.ace(self.rows)

  @property
  def conv_ace(self) -> int:
    """ACE of the convolutions."""
    return metrics.ace(r for r in self.rows if r.op == "conv")

  @property
  def dense_ace(self) -> int:
    """ACE of the dot products."""
    return metrics.ace(r for r in self.rows if r.op == "dot")

  @property
  def bops(self) -> int:
    """Binary operations: the 1x1 MACs."""
    return metrics.bops(self.rows)

  @property
  def degree_of_binarization(self) -> float | None:
    """BOPs / (64 OPs), at most 1 (BNext); `None` without a MAC."""
    return self.bops / self.ops_x64 if self.ops_x64 else None

  @property
  def flops(self) -> int:
    """All other MACs, one each."""
    return metrics.flops(self.rows)

  @property
  def ops_x64(self) -> int:
    """64 times OPs, exact."""
    return self.bops + 64 * self.flops

  @property
  def ops(self) -> float:
    """BOPs / 64 + FLOPs."""
    return self.ops_x64 / 64

  def cpu64_x64(self, rule: Rule = "max") -> int:
    """64 times CPU64, exact; see `cpu64`."""
    return metrics.cpu64_x64(self.rows, rule)

  def cpu64(self, rule: Rule = "max") -> float:
    """Cost on 64-bit words.

    Args:
      rule: `"max"`: `max(w, a) / 64` a MAC and 1 above 8 bits; `"product"`:
        `min(w * a, 64) / 64`; or a function `(w_bits, a_bits) -> 64ths`.

    Raises:
      ValueError: unknown rule.
    """
    return self.cpu64_x64(rule) / 64

  @property
  def bit_operations(self) -> int:
    """MACs x w_bits x a_bits with float32 as 32x32 (HAWQ)."""
    return metrics.bit_operations(self.rows)

  @property
  def bit_operations_uniq(self) -> float:
    """Bit operations with the accumulator (UNIQ)."""
    return metrics.bit_operations_uniq(self.rows)

  @property
  def compute_cost_linear(self) -> int:
    """MACs x max(w, a) rounded up to 4, 8 or 16 (google/aqt)."""
    return metrics.linear(self.rows)

  def energy(
    self, table: "str | Mapping[str, float]" = "45nm", *, dram: bool = False
  ) -> float:
    """Picojoules of the MACs; see `bnnjax.cost.energy`.

    Args:
      table: `"45nm"`, `"7nm"`, or `{"mul": pJ, "add": pJ}`.
      dram: add what it takes to read the deployed weight bytes once from DRAM;
        a table of one's own then has `"dram"`, pJ a byte.

    Raises:
      ValueError: unknown table, or one without an entry.
    """
    total = of_rows(self.rows, table)
    if dram:
      total += from_dram(self.weight_bytes("deployed"), table)
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
    out: dict[int, int] = {}
    for p in self.parameters:
      if p.role == "kernel":
        out[p.bits] = out.get(p.bits, 0) + p.size
    return dict(sorted(out.items()))

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
  def bits_per_weight(self) -> float | None:
    """Deployed bits of all that is stored, per element of the weights.

    Scales, masks, norms and everything else are shared out among the elements
    of kernels and embeddings (several sparse terms of one weight count once);
    `None` without any.
    """
    weights = storage.weights(self.parameters)
    return self.weight_bits("deployed") / weights if weights else None

  @property
  def elementwise(self) -> dict[str, int]:
    """Element-wise operations by name; not part of any figure above.

    `affine` is a chain of multiplications and additions with fixed operands
    (batch norm, bias, scale), one per element and scope; see `cost.work`.
    """
    out: dict[str, int] = {}
    for _, name, n in self.work:
      out[name] = out.get(name, 0) + n
    return dict(sorted(out.items()))

  @property
  def elementwise_by_scope(self) -> dict[str, dict[str, int]]:
    """The same by named scope."""
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
    return {**metrics.DEFINITIONS, **views.OTHER_DEFINITIONS}

  def table(self, format: str = "rich", by: str = "layer") -> str:
    """The rows as text, with totals and definitions below.

    Args:
      format: `"rich"`, `"markdown"` or `"csv"`.
      by: `"layer"` (one line per layer and widths), `"scope"` (per named
        scope) or `"bits"` (per pair of widths).

    Raises:
      ValueError: unknown format or grouping.
    """
    return views.table(self, format, by)

  def to_json(self, rows: bool = False) -> dict[str, Any]:
    """Plain numbers and strings, ready for `json.dumps`.

    Args:
      rows: also list the contractions.
    """
    return views.to_json(self, rows)

  def compare(self, other: "Report") -> "views.Comparison":
    """Both reports, figure by figure."""
    return views.Comparison(self, other)

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
    return views.plot(self, ax, metric)

  def __str__(self) -> str:
    return self.table("markdown", "bits")
