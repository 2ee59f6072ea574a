"""What is written down, and taken back."""

import math

from bnnjax.cost.ledger import Ledger, Parameter, Row, tally


def row(**fields):
  given = dict(macs=10, w_bits=1, a_bits=1, length=64) | fields
  return Row("layer", "scope", "dot", ((2, 64), (64, 5), (2, 5)), **given)


def test_a_trial_is_taken_back_and_written_again():
  ledger = Ledger()
  ledger.rows.append(row())
  ledger.warn("here", "first")
  mark = ledger.mark()
  ledger.rows.append(row(macs=20))
  ledger.work.append(("scope", "tanh", 4))
  ledger.note("there", "second")
  gone = ledger.cut(mark)
  assert [r.macs for r in ledger.rows] == [10]
  assert ledger.warnings == [("here", "first")]
  assert (ledger.work, ledger.notes) == ([], [])
  ledger.extend(gone)
  assert [r.macs for r in ledger.rows] == [10, 20]
  assert ledger.work == [("scope", "tanh", 4)]
  assert ledger.notes == [("there", "second")]


def test_a_row_by_arithmetic():
  assert row().ace == 10
  assert row(w_bits=4, a_bits=8).ace == 320
  assert row(w_bits=32, a_bits=32).ace == 2560
  assert row(w_bits=4, a_bits=8).accumulator_bits == 12 + math.log2(64)
  assert row(w_bits=4, a_bits=8).bits == "w4a8"
  assert row().is_binary
  assert not row(a_bits=2).is_binary
  assert row(length=0).accumulator_bits == 2
  assert not row().has_weight


def test_a_parameter():
  kernel = Parameter("stage.conv.kernel", (3, 3, 4, 8), 32, "kernel", 1)
  assert kernel.size == 288
  assert (kernel.module, kernel.name) == ("stage.conv", "kernel")
  assert not kernel.sparse


def test_sums_by_key_are_sorted():
  sums = tally([("b", 1), ("a", 2), ("b", 3)])
  assert list(sums.items()) == [("a", 2), ("b", 4)]
