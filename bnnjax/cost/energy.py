"""Energy of arithmetic, from published tables of picojoules per operation.

45 nm: Horowitz, ISSCC 2014 (as copied in public code). 7 nm: the energy script
of BitTransGNN; its bfloat16 row is the comment in google/aqt's `pokebnn.py`;
the float16 row is quoted from memory of the same table and unverified. Memory
traffic (DRAM: 1300 to 2600 pJ an access at 45 nm) is left out.
"""

from collections.abc import Iterable, Mapping

from bnnjax.core.registry import unknown
from bnnjax.cost.rows import Row

# pJ of one (multiplication, addition).
TABLES: dict[str, dict[str, tuple[float, float]]] = {
  "45nm": {
    "int8": (0.2, 0.03),
    "int32": (3.1, 0.1),
    "fp16": (1.1, 0.4),
    "fp32": (3.7, 0.9),
  },
  "7nm": {
    "int8": (0.07, 0.007),
    "int32": (1.48, 0.03),
    "fp16": (0.34, 0.16),
    "bf16": (0.21, 0.11),
    "fp32": (1.31, 0.38),
  },
}


def energy(
  muls: float,
  adds: float,
  table: str | Mapping[str, float] = "45nm",
  *,
  format: str = "fp32",
) -> float:
  """Picojoules of `muls` multiplications and `adds` additions.

  `muls * pJ(mul) + adds * pJ(add)`, e.g. `3.7 * muls + 0.9 * adds` for float32
  at 45 nm (EcoFormer, Liu et al. 2022).

  Args:
    muls: number of multiplications.
    adds: number of additions.
    table: `"45nm"`, `"7nm"`, or `{"mul": pJ, "add": pJ}`.
    format: `"int8"`, `"int32"`, `"fp16"`, `"fp32"` (7 nm also `"bf16"`).

  Raises:
    ValueError: unknown table or format, or a mapping without both entries.
  """
  if isinstance(table, Mapping):
    if not {"mul", "add"} <= set(table):
      raise ValueError(
        f"An energy table needs 'mul' and 'add' in pJ, got {sorted(table)}."
      )
    return muls * table["mul"] + adds * table["add"]
  formats = _table(table)
  if format not in formats:
    raise unknown(f"number format of the {table} table", format, formats)
  mul, add = formats[format]
  return muls * mul + adds * add


def _table(name: str) -> dict[str, tuple[float, float]]:
  if name not in TABLES:
    raise unknown("energy table", name, TABLES)
  return TABLES[name]


def of_rows(rows: Iterable[Row], table: str | Mapping[str, float]) -> float:
  """Picojoules of the MACs, one multiplication and one addition each.

  Both operands at most 8 bits: the int8 row, the multiplication times
  `w_bits * a_bits / 64` (adders of an array multiplier, the assumption behind
  ACE). At most 16 bits: fp16 (bf16 at 7 nm). Wider: fp32.
  """
  if isinstance(table, Mapping):
    macs = sum(row.macs for row in rows)
    return energy(macs, macs, table)
  half = "bf16" if "bf16" in _table(table) else "fp16"
  total = 0.0
  for row in rows:
    widest = max(row.w_bits, row.a_bits)
    if widest <= 8:
      muls = row.macs * row.w_bits * row.a_bits / 64
      total += energy(muls, row.macs, table, format="int8")
    else:
      kind = half if widest <= 16 else "fp32"
      total += energy(row.macs, row.macs, table, format=kind)
  return total
