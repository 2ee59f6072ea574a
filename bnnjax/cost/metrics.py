"""Headline figures of a list of rows, each with its definition."""

from collections.abc import Callable, Iterable

from bnnjax.core.registry import unknown
from bnnjax.cost.rows import Row

Rows = Iterable[Row]

DEFINITIONS = {
  "MACs": (
    "multiply-accumulates of dots and convolutions, padding positions"
    " included, inserted zeros of transposed convolutions not; no bias, norm,"
    " pooling, residual"
  ),
  "W, A": (
    "bits of weight and activation; an untagged operand has its dtype's width"
  ),
  "ACE": (
    "sum of MACs x min(w_bits, 16) x min(a_bits, 16), so float counts 256"
    " (PokeBNN, arXiv 2112.00133)"
  ),
  "BOPs": (
    "binary operations: the 1x1 MACs (Bi-Real, ReActNet); not MACs x w x a"
  ),
  "FLOPs": "every MAC that is not 1x1, counted once (not twice)",
  "OPs": "BOPs / 64 + FLOPs",
  "CPU64": (
    "64-bit words: sum of MACs x max(w_bits, a_bits) / 64, and 1 for a MAC"
    " wider than 8 bits (rule 'max'; rule 'product': min(w x a, 64) / 64)"
  ),
  "bit operations": (
    "sum of MACs x w_bits x a_bits, float32 as 32x32 (HAWQ's 'BOPs')"
  ),
  "bit operations (UNIQ)": (
    "sum of MACs x (w x a + w + a + log2(products per output)), with the"
    " accumulator (arXiv 1804.10969)"
  ),
  "linear cost": (
    "sum of MACs x max(w_bits, a_bits) rounded up to 4, 8 or 16 (google/aqt)"
  ),
  "parameters": "elements of trained arrays (no running statistics)",
}


def macs(rows: Rows) -> dict[tuple[int, int], int]:
  """MACs by `(w_bits, a_bits)`, sorted."""
  out: dict[tuple[int, int], int] = {}
  for r in rows:
    key = (r.w_bits, r.a_bits)
    out[key] = out.get(key, 0) + r.macs
  return dict(sorted(out.items()))


def ace(rows: Rows) -> int:
  return sum(r.ace for r in rows)


def bops(rows: Rows) -> int:
  return sum(r.macs for r in rows if (r.w_bits, r.a_bits) == (1, 1))


def flops(rows: Rows) -> int:
  return sum(r.macs for r in rows if (r.w_bits, r.a_bits) != (1, 1))


def bit_operations(rows: Rows) -> int:
  return sum(r.macs * r.w_bits * r.a_bits for r in rows)


def bit_operations_uniq(rows: Rows) -> float:
  return sum(r.macs * (r.w_bits * r.a_bits + r.accumulator_bits) for r in rows)


def linear(rows: Rows) -> int:
  """google/aqt's `compute_cost_linear`: an accelerator with 4, 8, 16 bits."""

  def width(r: Row) -> int:
    return next((b for b in (4, 8) if max(r.w_bits, r.a_bits) <= b), 16)

  return sum(r.macs * width(r) for r in rows)


CPU64: dict[str, Callable[[int, int], int]] = {
  "max": lambda w, a: min(max(w, a), 64) if max(w, a) <= 8 else 64,
  "product": lambda w, a: min(w * a, 64),
}


def cpu64_x64(rows: Rows, rule: str | Callable[[int, int], int]) -> int:
  """64 times CPU64, an exact integer."""
  if not callable(rule):
    if not isinstance(rule, str) or rule not in CPU64:
      raise unknown("CPU64 rule", rule, CPU64)
    rule = CPU64[rule]
  return sum(r.macs * rule(r.w_bits, r.a_bits) for r in rows)
