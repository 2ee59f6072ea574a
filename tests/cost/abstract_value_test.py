"""What is certain of a value that is one of two, or computed from both."""

import numpy as np

from bnnjax.core.bits import BitTag
from bnnjax.cost.abstract_value import (
  AbstractValue,
  Source,
  Words,
  constant,
  depending_on,
  everywhere,
  join,
  join_words,
  union,
)

ONE = (BitTag(1),)


def test_runs_shrink_to_the_common_divisor():
  assert union({0: 4}, {0: 6, 1: 1}) == {0: 2, 1: 1}
  assert union({0: 8}) == {0: 8}
  assert union() == {}
  assert everywhere((3, 1, 2)) == {0: 1, 2: 1}


def test_a_constant_is_known_where_it_is_one_number():
  assert constant(2).const == 2.0
  assert constant(np.array([[3.0]])).const == 3.0
  assert constant(np.array([1.0, 2.0])).const is None
  assert constant(1j).const is None
  assert constant(np.array([1.0, 2.0])).vary == {0: 1}


def test_two_low_bit_values_with_a_scale_or_without_are_one_that_may_have_it():
  plain = AbstractValue({0: 1, 1: 1}, terms=ONE, role="weight")
  scaled = AbstractValue(
    {0: 1, 1: 1}, terms=ONE, role="weight", factor={0: 4}, scaled=True
  )
  out = join(plain, scaled, "here")
  assert (out.terms, out.role, out.factor) == (ONE, "weight", {0: 4})
  assert out.scaled
  assert not out.lost
  assert join(plain, plain, "here") is plain


def test_a_low_bit_value_or_a_float_lost_its_tag():
  out = join(AbstractValue({0: 1}, terms=ONE), AbstractValue({}), "a branch")
  assert out.terms == ()
  assert out.lost == "1-bit tag lost: a branch"


def test_what_depends_on_data_stands_for_no_parameter():
  weight = AbstractValue({0: 1}, static=True, lineage=(Source(0, 8),))
  both = depending_on(weight, AbstractValue({1: 2}))
  assert (both.vary, both.static, both.lineage) == ({0: 1, 1: 2}, False, ())
  assert depending_on(weight, constant(2)).lineage == (Source(0, 8),)


def test_the_empty_alphabet_lacks_nothing_that_is_known():
  signs = AbstractValue({}, symbols=(-1.0, 1.0))
  assert signs.lacks(0.0)
  assert not signs.lacks(1.0)
  assert not AbstractValue({}).lacks(0.0)


def test_words_side_by_side():
  a = Words(bits=8, product=True, kernels=(Source(0, 4),))
  b = Words(bits=16, kernels=(Source(1, 4),))
  out = join_words(a, b)
  assert (out.bits, out.product) == (16, True)
  assert out.kernels == (Source(0, 4), Source(1, 4))
  assert join_words(None, b) is b
