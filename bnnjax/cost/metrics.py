"""The figures of a report: one table of functions, definitions and units.

A figure is one function here: `Report` has it as an attribute (`report.ace`),
its JSON as a key, its tables as a line with the docstring as its definition, and
`docs/cost_metrics.md` as a row. If a docstring changes, `definition_versions.VERSION` does.
"""

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any

from bnnjax.cost import energy, recurrence, sizes
from bnnjax.cost.ledger import Row, tally

Number = int | float | None


@dataclasses.dataclass(frozen=True)
class Metric:
  """One figure of a report.

  Attributes:
    of: computes it from a `Report`: a number, or numbers by name.
    label: what tables call it; empty: it is in the JSON only.
    unit: in words.
    definition: what it means; empty where that of another figure covers it.
    shown: the lines of a table from the value; by default the label, with one
      line per name where there are several numbers.
  """

  of: Callable[[Any], Any]
  label: str = ""
  unit: str = ""
  definition: str = ""
  shown: Callable[[Any], Mapping[str, Number]] | None = None

  def lines(self, value: Any) -> Mapping[str, Number]:
    """The lines of a table."""
    if not self.label:
      return {}
    if self.shown:
      return self.shown(value)
    if isinstance(value, Mapping):
      return {f"{self.label} {k} ({self.unit})": v for k, v in value.items()}
    return {self.label: value}


# In the order of the JSON and of tables.
METRICS: dict[str, Metric] = {}


def metric(
  label: str = "",
  unit: str = "",
  shown: Callable[[Any], Mapping[str, Number]] | None = None,
) -> Callable[[Callable], Callable]:
  """Registers a figure by its name, with its docstring as the definition."""

  def add(of: Callable) -> Callable:
    definition = " ".join((of.__doc__ or "").split())
    METRICS[of.__name__] = Metric(of, label, unit, definition, shown)
    return of

  return add


# Cost of a MAC on 64-bit words, in 64ths, by the widths of its operands.
CPU64: dict[str, Callable[[int, int], int]] = {
  "max": lambda w, a: max(w, a) if max(w, a) <= 8 else 64,
  "product": lambda w, a: min(w * a, 64),
}


def _linear_width(row: Row) -> int:
  """Width on an accelerator with 4, 8 and 16 bits (google/aqt)."""
  widest = max(row.w_bits, row.a_bits)
  return next((bits for bits in (4, 8) if widest <= bits), 16)


def _macs_lines(by_name: Mapping[str, int]) -> dict[str, Number]:
  lines = {f"MACs {name}": n for name, n in by_name.items()}
  return {"MACs": sum(by_name.values()), **lines}


@metric("MACs", "MACs", shown=_macs_lines)
def macs(r: Any) -> dict[str, Number]:
  """multiply-accumulates of dots and convolutions, padding positions included,
  inserted zeros of transposed convolutions not; no bias, norm, pooling,
  residual
  """
  return r.macs_by_name


@metric(unit="MACs")
def total_macs(r: Any) -> Number:
  """MACs of all widths"""
  return sum(row.macs for row in r.rows)


@metric("extra MACs", "MACs")
def extra_macs(r: Any) -> Number:
  """products that run beyond the work that a recurrence or other function
  declares as its own (`counted_as`), e.g. those of its chunks; not in any other
  figure
  """
  return recurrence.extra_macs(r.rows, r.replaced)


@metric("ACE", "1-bit MACs")
def ace(r: Any) -> Number:
  """sum of MACs x min(w_bits, 16) x min(a_bits, 16), so float counts 256
  (PokeBNN, arXiv 2112.00133)
  """
  return sum(row.ace for row in r.rows)


@metric(unit="1-bit MACs")
def conv_ace(r: Any) -> Number:
  """ACE of the convolutions"""
  return sum(row.ace for row in r.rows if row.op == "conv")


@metric(unit="1-bit MACs")
def dense_ace(r: Any) -> Number:
  """ACE of the dot products"""
  return sum(row.ace for row in r.rows if row.op == "dot")


@metric("BOPs", "1-bit MACs")
def bops(r: Any) -> Number:
  """binary operations: the 1x1 MACs (Bi-Real, ReActNet); not MACs x w x a"""
  return sum(row.macs for row in r.rows if row.is_binary)


@metric("FLOPs", "MACs")
def flops(r: Any) -> Number:
  """every MAC that is not 1x1, counted once (not twice)"""
  return sum(row.macs for row in r.rows if not row.is_binary)


@metric("OPs", "MACs")
def ops(r: Any) -> Number:
  """BOPs / 64 + FLOPs"""
  return r.ops_x64 / 64


@metric(unit="64ths of a MAC")
def ops_x64(r: Any) -> Number:
  """64 times OPs, an exact integer"""
  return r.bops + 64 * r.flops


@metric("degree of binarization", "share")
def degree_of_binarization(r: Any) -> Number:
  """BOPs / (64 OPs) (BNext)"""
  return r.bops / r.ops_x64 if r.ops_x64 else None


@metric(
  "CPU64", "64-bit words", shown=lambda by_rule: {"CPU64": by_rule["max"]}
)
def cpu64(r: Any) -> dict[str, Number]:
  """64-bit words: sum of MACs x max(w_bits, a_bits) / 64, and 1 for a MAC wider
  than 8 bits (rule 'max'; rule 'product': min(w x a, 64) / 64)
  """
  return {rule: r.cpu64(rule) for rule in CPU64}


@metric("bit operations", "operations")
def bit_operations(r: Any) -> Number:
  """sum of MACs x w_bits x a_bits, float32 as 32x32 (HAWQ's 'BOPs')"""
  return sum(row.macs * row.w_bits * row.a_bits for row in r.rows)


@metric("bit operations (UNIQ)", "operations")
def bit_operations_uniq(r: Any) -> Number:
  """sum of MACs x (w x a + w + a + log2(products per output)), with the
  accumulator (arXiv 1804.10969)
  """
  return sum(
    row.macs * (row.w_bits * row.a_bits + row.accumulator_bits)
    for row in r.rows
  )


@metric("linear cost", "MACs x bits")
def compute_cost_linear(r: Any) -> Number:
  """sum of MACs x max(w_bits, a_bits) rounded up to 4, 8 or 16 (google/aqt)"""
  return sum(row.macs * _linear_width(row) for row in r.rows)


@metric("energy", "pJ")
def energy_pj(r: Any) -> dict[str, Number]:
  """pJ, one multiplication and one addition per MAC, no multiplication by a
  1-bit operand; both operands at most 8 bits: int8 with the multiplication x w
  x a / 64, the addition linear in the accumulator's bits between int8 and
  int32; at most 16: half; else float32; no memory traffic (45 nm: Horowitz
  2014). With DRAM: and the deployed weight bytes once, 1300 pJ for 64 bits
  """
  return {table: r.energy(table) for table in energy.TABLES}


@metric("energy with DRAM", "pJ")
def energy_with_dram_pj(r: Any) -> dict[str, Number]:
  return {table: r.energy(table, dram=True) for table in energy.TABLES}


@metric("parameters", "elements")
def parameters(r: Any) -> Number:
  """elements of trained arrays (no running statistics)"""
  return r.parameter_count


@metric(unit="elements")
def weights_by_bits(r: Any) -> dict[str, Number]:
  """kernel elements by stored width"""
  return {str(bits): n for bits, n in r.weights_by_bits.items()}


@metric("weight bytes", "bytes")
def weight_bytes(r: Any) -> Number:
  """kernels only, bits / 8 at their tag's width (convention 'packed');
  'deployed': everything that is stored, rows of tagged matrices in 32-bit
  words; others: Report.weight_bytes
  """
  return r.weight_bytes()


@metric(
  "weight bytes deployed",
  "bytes",
  shown=lambda found: {"weight bytes deployed": found["deployed"]},
)
def weight_bytes_by_convention(r: Any) -> dict[str, Number]:
  return {name: r.weight_bytes(name) for name in sizes.CONVENTIONS}


@metric("bpw", "bits")
def bits_per_weight(r: Any) -> Number:
  """bits per weight: everything that is stored ('weight bytes deployed':
  scales, masks, norms too) over the elements of kernels and embeddings
  """
  weights = sizes.weights(r.parameters)
  return r.weight_bits("deployed") / weights if weights else None


@metric("activation bytes", "bytes")
def activation_bytes(r: Any) -> Number:
  """peak of live arrays if nothing but broadcasts is fused, weights left out;
  'deployed' stores tagged arrays at their width
  """
  return r.activation_bytes()


@metric("activation bytes deployed", "bytes")
def activation_bytes_deployed(r: Any) -> Number:
  return r.activation_bytes(deployed=True)


@metric(
  "element-wise",
  "operations",
  shown=lambda by_name: {"element-wise": sum(by_name.values())},
)
def elementwise(r: Any) -> dict[str, Number]:
  """one per element of the result (reductions: of the input); fixed
  multiply-adds in one scope (batch norm, bias, scale) fold into one 'affine'
  each and not into the convolution; not in any other figure
  """
  return tally((name, n) for _, name, n in r.work)


# Figures that count what is stored.
STORED = (
  "parameters", "weight_bytes", "weight_bytes_by_convention",
  "bits_per_weight", "energy_with_dram_pj",
)  # fmt: skip


def totals(report: Any) -> dict[str, Number | str]:
  """The figures of a report as lines of a table; what is unknown in words."""
  return {
    label: "unknown" if report.stored_unknown and key in STORED else number
    for key, entry in METRICS.items()
    for label, number in entry.lines(entry.of(report)).items()
  }
