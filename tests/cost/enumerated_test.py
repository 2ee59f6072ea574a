"""`count` equals the enumeration of pairs, on programs of every kind."""

import collections

import pytest

from bnnjax.cost import count
from tests.cost import enumerated

PROGRAMS = collections.defaultdict(list)
for _program in enumerated.programs():
  PROGRAMS[_program.kind].append(_program)
KINDS = [
  "conv",
  "transposed",
  "dilated",
  "grouped",
  "gradients",
  "einsum",
  "scan",
  "xnor",
]


@pytest.mark.parametrize("kind", KINDS)
def test_counts_are_enumerated_pairs(kind):
  assert len(PROGRAMS[kind]) >= 30
  wrong = {}
  for program in PROGRAMS[kind]:
    got = count(program.function, *program.args).macs
    got = {bits: n for bits, n in got.items() if n}
    if got != {bits: n for bits, n in program.macs.items() if n}:
      wrong[program.name] = (got, program.macs)
  assert not wrong


def test_every_kind_is_enumerated():
  assert set(PROGRAMS) == set(KINDS)
