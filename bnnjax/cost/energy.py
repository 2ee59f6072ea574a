"""Energy of arithmetic, from published tables of picojoules per operation.

45 nm: Horowitz, ISSCC 2014 (as copied in public code). 7 nm: the energy script
of BitTransGNN; its bfloat16 row is the comment in google/aqt's `pokebnn.py`;
the float16 row is quoted from memory of the same table and unverified.

Memory traffic is left out, except in `from_dram`: it reads every weight byte
once per example from DRAM, at 1300 pJ for 64 bits, the lower end of Horowitz's
1.3 to 2.6 nJ. DRAM is off-chip, so a smaller node of the logic does not change
it.
"""

from collections.abc import Iterable, Mapping

from bnnjax.core.registry import unknown
from bnnjax.cost.ledger import Row

DRAM_BYTE = 1300 / 8  # pJ; Horowitz 2014, 64 bits, lower end
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
  if not isinstance(format, str) or format not in formats:
    raise unknown(f"number format of the {table} table", format, formats)
  mul, add = formats[format]
  return muls * mul + adds * add


def _table(name: str) -> dict[str, tuple[float, float]]:
  if not isinstance(name, str) or name not in TABLES:
    raise unknown("energy table", name, TABLES)
  return TABLES[name]


def of_rows(rows: Iterable[Row], table: str | Mapping[str, float]) -> float:
  """Picojoules of the MACs, one multiplication and one addition each.

  A 1-bit operand needs no multiplication: it selects between addition and
  subtraction of the other (EcoFormer's rule, Liu et al. 2022).

  Both operands at most 8 bits: integers. The multiplication is that of int8
  times `w_bits * a_bits / 64` (adders of an array multiplier, the assumption
  behind ACE); the addition is as wide as the accumulator, `w_bits + a_bits +
  log2(products summed)`, and linear in its bits between int8 and int32, constant
  outside. At most 16 bits: fp16 (bf16 at 7 nm). Wider: fp32.
  """
  return sum(_of_row(row, table) for row in rows)


def _of_row(row: Row, table: str | Mapping[str, float]) -> float:
  multiplied = 0 if 1 in (row.w_bits, row.a_bits) else row.macs
  if isinstance(table, Mapping):
    return energy(multiplied, row.macs, table)
  widest = max(row.w_bits, row.a_bits)
  if widest <= 8:
    formats = _table(table)
    share = row.w_bits * row.a_bits / 64
    add = integer_addition(row.accumulator_bits, table)
    return multiplied * share * formats["int8"][0] + row.macs * add
  half = "bf16" if "bf16" in _table(table) else "fp16"
  kind = half if widest <= 16 else "fp32"
  return energy(multiplied, row.macs, table, format=kind)


def integer_addition(bits: float, table: str = "45nm") -> float:
  """Picojoules of an integer addition of `bits` bits.

  Linear between the table's int8 and int32 entries, constant outside.

  Raises:
    ValueError: unknown table.
  """
  low, high = (_table(table)[name][1] for name in ("int8", "int32"))
  share = min(max((bits - 8) / 24, 0.0), 1.0)
  return low + share * (high - low)


def from_dram(count: float, table: str | Mapping[str, float] = "45nm") -> float:
  """Picojoules to read `count` bytes from DRAM once.

  Raises:
    ValueError: unknown table, or a mapping without `"dram"`, pJ a byte.
  """
  if not isinstance(table, Mapping):
    _table(table)
    return count * DRAM_BYTE
  if "dram" not in table:
    raise ValueError(
      f"An energy table needs 'dram' in pJ a byte, got {sorted(table)}."
    )
  return count * table["dram"]
