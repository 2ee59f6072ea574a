"""The figures of a report: one table of functions, definitions and units.

A figure is typed here and nowhere else: `Report` has it as an attribute
(`report.ace`), its JSON as a key, its tables as a line with a definition below,
and `docs/figures.md` as a row.
"""

import dataclasses
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from bnnjax.core.registry import unknown
from bnnjax.cost import energy, recurrence, sizes
from bnnjax.cost.ledger import Row

Number = int | float | None


@dataclasses.dataclass(frozen=True)
class Figure:
  """One figure of a report.

  Attributes:
    of: computes it from a `Report`: a number, or numbers by name.
    label: what tables call it; empty: it is in the JSON only.
    unit: in words.
    definition: of the label; empty where another figure's covers it.
    shown: the lines of a table from the value; else the label, and one line per
      name where there are several numbers.
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


# Cost of a MAC on 64-bit words, in 64ths, by the widths of its operands.
CPU64: dict[str, Callable[[int, int], int]] = {
  "max": lambda w, a: min(max(w, a), 64) if max(w, a) <= 8 else 64,
  "product": lambda w, a: min(w * a, 64),
}


def cpu64_x64(
  rows: Iterable[Row], rule: str | Callable[[int, int], int]
) -> int:
  """64 times CPU64, an exact integer.

  Raises:
    ValueError: unknown rule.
  """
  if not callable(rule):
    if not isinstance(rule, str) or rule not in CPU64:
      raise unknown("CPU64 rule", rule, CPU64)
    rule = CPU64[rule]
  return sum(r.macs * rule(r.w_bits, r.a_bits) for r in rows)


def tally(pairs: Iterable[tuple[Any, int]]) -> dict[Any, int]:
  """Sums by key, sorted: `[("b", 1), ("a", 2), ("b", 3)]` is `{a: 2, b: 4}`."""
  out: dict[Any, int] = {}
  for key, n in pairs:
    out[key] = out.get(key, 0) + n
  return dict(sorted(out.items()))


def _linear_width(row: Row) -> int:
  """Width on an accelerator with 4, 8 and 16 bits (google/aqt)."""
  widest = max(row.w_bits, row.a_bits)
  return next((bits for bits in (4, 8) if widest <= bits), 16)


def _bits_per_weight(report: Any) -> float | None:
  """`None` without a weight; terms of one weight count once."""
  weights = sizes.weights(report.parameters)
  return report.weight_bits("deployed") / weights if weights else None


# In the order of the JSON and of tables; `r` is the report, `x` a row of it.
FIGURES: dict[str, Figure] = {
  "macs": Figure(
    lambda r: r.macs_by_name,
    "MACs",
    "MACs",
    "multiply-accumulates of dots and convolutions, padding positions"
    " included, inserted zeros of transposed convolutions not; no bias, norm,"
    " pooling, residual",
    shown=lambda macs: {
      "MACs": sum(macs.values()),
      **{f"MACs {bits}": n for bits, n in macs.items()},
    },
  ),
  "total_macs": Figure(lambda r: sum(x.macs for x in r.rows), unit="MACs"),
  "extra_macs": Figure(
    lambda r: recurrence.extra_macs(r.rows, r.replaced),
    "extra MACs",
    "MACs",
    "products that run beyond the work that a recurrence or other function"
    " declares as its own (`counted_as`), e.g. those of its chunks; not in any"
    " other figure",
  ),
  "ace": Figure(
    lambda r: sum(x.ace for x in r.rows),
    "ACE",
    "1-bit MACs",
    "sum of MACs x min(w_bits, 16) x min(a_bits, 16), so float counts 256"
    " (PokeBNN, arXiv 2112.00133)",
  ),
  "conv_ace": Figure(lambda r: sum(x.ace for x in r.rows if x.op == "conv")),
  "dense_ace": Figure(lambda r: sum(x.ace for x in r.rows if x.op == "dot")),
  "bops": Figure(
    lambda r: sum(x.macs for x in r.rows if x.is_binary),
    "BOPs",
    "1-bit MACs",
    "binary operations: the 1x1 MACs (Bi-Real, ReActNet); not MACs x w x a",
  ),
  "flops": Figure(
    lambda r: sum(x.macs for x in r.rows if not x.is_binary),
    "FLOPs",
    "MACs",
    "every MAC that is not 1x1, counted once (not twice)",
  ),
  "ops": Figure(lambda r: r.ops_x64 / 64, "OPs", "MACs", "BOPs / 64 + FLOPs"),
  "ops_x64": Figure(lambda r: r.bops + 64 * r.flops, unit="64ths of a MAC"),
  "degree_of_binarization": Figure(
    lambda r: r.bops / r.ops_x64 if r.ops_x64 else None,
    "degree of binarization",
    "share",
    "BOPs / (64 OPs) (BNext)",
  ),
  "cpu64": Figure(
    lambda r: {rule: r.cpu64(rule) for rule in CPU64},
    "CPU64",
    "64-bit words",
    "64-bit words: sum of MACs x max(w_bits, a_bits) / 64, and 1 for a MAC"
    " wider than 8 bits (rule 'max'; rule 'product': min(w x a, 64) / 64)",
    shown=lambda by_rule: {"CPU64": by_rule["max"]},
  ),
  "bit_operations": Figure(
    lambda r: sum(x.macs * x.w_bits * x.a_bits for x in r.rows),
    "bit operations",
    "operations",
    "sum of MACs x w_bits x a_bits, float32 as 32x32 (HAWQ's 'BOPs')",
  ),
  "bit_operations_uniq": Figure(
    lambda r: sum(
      x.macs * (x.w_bits * x.a_bits + x.accumulator_bits) for x in r.rows
    ),
    "bit operations (UNIQ)",
    "operations",
    "sum of MACs x (w x a + w + a + log2(products per output)), with the"
    " accumulator (arXiv 1804.10969)",
  ),
  "compute_cost_linear": Figure(
    lambda r: sum(x.macs * _linear_width(x) for x in r.rows),
    "linear cost",
    "MACs x bits",
    "sum of MACs x max(w_bits, a_bits) rounded up to 4, 8 or 16 (google/aqt)",
  ),
  "energy_pj": Figure(
    lambda r: {table: r.energy(table) for table in energy.TABLES},
    "energy",
    "pJ",
    "pJ, one multiplication and one addition per MAC, no multiplication by a"
    " 1-bit operand; both operands at most 8 bits: int8 with the multiplication"
    " x w x a / 64, the addition linear in the accumulator's bits between int8"
    " and int32; at most 16: half; else float32; no memory traffic (45 nm:"
    " Horowitz 2014). With DRAM: and the deployed weight bytes once, 1300 pJ for"
    " 64 bits",
  ),
  "energy_with_dram_pj": Figure(
    lambda r: {table: r.energy(table, dram=True) for table in energy.TABLES},
    "energy with DRAM",
    "pJ",
  ),
  "parameters": Figure(
    lambda r: r.parameter_count,
    "parameters",
    "elements",
    "elements of trained arrays (no running statistics)",
  ),
  "weights_by_bits": Figure(
    lambda r: {str(bits): n for bits, n in r.weights_by_bits.items()}
  ),
  "weight_bytes": Figure(
    lambda r: r.weight_bytes(),
    "weight bytes",
    "bytes",
    "kernels only, bits / 8 at their tag's width (convention 'packed');"
    " 'deployed': everything that is stored, rows of tagged matrices in 32-bit"
    " words; others: Report.weight_bytes",
  ),
  "weight_bytes_by_convention": Figure(
    lambda r: {name: r.weight_bytes(name) for name in sizes.CONVENTIONS},
    "weight bytes deployed",
    "bytes",
    shown=lambda found: {"weight bytes deployed": found["deployed"]},
  ),
  "bits_per_weight": Figure(
    _bits_per_weight,
    "bpw",
    "bits",
    "bits per weight: everything that is stored ('weight bytes deployed':"
    " scales, masks, norms too) over the elements of kernels and embeddings",
  ),
  "activation_bytes": Figure(
    lambda r: r.activation_bytes(),
    "activation bytes",
    "bytes",
    "peak of live arrays if nothing but broadcasts is fused, weights left out;"
    " 'deployed' stores tagged arrays at their width",
  ),
  "activation_bytes_deployed": Figure(
    lambda r: r.activation_bytes(deployed=True),
    "activation bytes deployed",
    "bytes",
  ),
  "elementwise": Figure(
    lambda r: tally((name, n) for _, name, n in r.work),
    "element-wise",
    "operations",
    "one per element of the result (reductions: of the input); fixed"
    " multiply-adds in one scope (batch norm, bias, scale) fold into one"
    " 'affine' each and not into the convolution; not in any other figure",
    shown=lambda by_name: {"element-wise": sum(by_name.values())},
  ),
}

# Columns of tables that are no figures.
_COLUMNS = {
  "W, A": (
    "bits of weight and activation; an untagged operand has its dtype's width"
  )
}
# Records store this number instead of the text. Who changes a definition counts
# it up and leaves the old text in `_BEFORE[old version]`, by label.
VERSION = 1
_BEFORE: dict[int, dict[str, str]] = {}


def definitions(version: int = VERSION) -> dict[str, str]:
  """What every figure means, or meant in a record of an older version.

  Raises:
    ValueError: no such version.
  """
  if version not in range(1, VERSION + 1):
    raise ValueError(
      f"No definitions of version {version!r}: this bnnjax knows 1 to {VERSION}."
      " A later one wrote that record."
    )
  out = _COLUMNS | {
    f.label: f.definition for f in FIGURES.values() if f.definition
  }
  for older in range(VERSION - 1, version - 1, -1):
    out |= _BEFORE[older]
  return out


def definitions_of(cost: Mapping[str, Any]) -> Mapping[str, str]:
  """The definitions of a recorded cost; the first records hold the text."""
  found = cost["definitions"]
  return found if isinstance(found, Mapping) else definitions(found)


def totals(report: Any) -> dict[str, Number]:
  """The figures of a report as lines of a table."""
  return {
    label: number
    for figure in FIGURES.values()
    for label, number in figure.lines(figure.of(report)).items()
  }


def page() -> str:
  """`docs/figures.md`."""
  lines = [
    "# Figures of a cost report\n",
    "Generated from `bnnjax/cost/figures.py`; do not edit. Keys are those of"
    " `report.to_json()` and of the `cost` of a record.\n",
    "| key | in tables | unit | definition |",
    "|---|---|---|---|",
  ]
  for key, f in FIGURES.items():
    lines.append(f"| `{key}` | {f.label} | {f.unit} | {f.definition} |")
  return "\n".join(lines) + "\n"
