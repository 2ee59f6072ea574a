"""Invariants of low-bit tensors, as `Quantized.validate` checks them."""

import dataclasses
from fractions import Fraction

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from bnnjax.core import quantized_check
from bnnjax.core.bits import BitTag
from bnnjax.core.quantized import Quantized, Term

K, O = 8, 6
SIGNS = jnp.where(jnp.arange(K * O).reshape(K, O) % 3 == 0, 1.0, -1.0)
ONE = BitTag(1, (-1, 1))
COLUMN = jnp.linspace(0.5, 2, O)[None]


def quantized(**changes):
  return Quantized((dataclasses.replace(Term(SIGNS, kind=ONE), **changes),))


@pytest.mark.parametrize(
  ("broken", "message"),
  [
    (lambda: Quantized(()), "at least one term"),
    (lambda: quantized(scale=jnp.ones((1, O + 1))), "Factor 0 of Term 0"),
    (
      lambda: quantized(scale=(COLUMN, jnp.ones((3, 1)))),
      "Factor 1 of Term 0.*broadcast",
    ),
    (lambda: quantized(mask=jnp.ones((3, O))), "mask of Term 0"),
    (lambda: quantized(mask=jnp.full((K, O), 0.5)), "0 and 1 only"),
    (
      lambda: quantized(mask=jnp.arange(K * O).reshape(K, O) % 2),
      r"keeps 0\.5 of the elements.*density 1",
    ),
    (lambda: quantized(value=SIGNS * 0.5), r"the value -0\.5.*alphabet"),
    (
      lambda: quantized(value=jnp.arange(48.0).reshape(8, 6), kind=BitTag(4)),
      "48 different values.*4 bits hold 16",
    ),
    (lambda: quantized(value=SIGNS.astype(jnp.int8)), "float container"),
    (
      lambda: quantized(kind=BitTag(1, (-1, 1), group=3)),
      "groups of 3.*divide",
    ),
    (
      lambda: Quantized((Term(SIGNS), Term(SIGNS[1:]))),
      r"Term 1 .*\[7, 6\].*\[8, 6\]",
    ),
    (lambda: Quantized((Term(SIGNS),), jnp.ones((2, O))), "shift"),
    (
      lambda: Quantized((Term(SIGNS),), surrogate=SIGNS[:1]),
      r"surrogate.*\(8, 6\), got \(1, 6\)",
    ),
  ],
)
def test_validate_names_the_broken_invariant(broken, message):
  with pytest.raises(ValueError, match=message):
    broken().validate()


def test_validate_under_jit_checks_shapes():
  @jax.jit
  def f(scale):
    return quantized(scale=scale).validate().dequantize()

  assert f(COLUMN).shape == (K, O)
  with pytest.raises(ValueError, match="Factor 0"):
    f(jnp.ones((2, O)))


def test_density_of_a_mask():
  mask = np.array([[1], [0], [2]])
  assert quantized_check.density_of(mask, (3, 4)) == Fraction(2, 3)
  assert quantized_check.density_of(mask[:0], (0, 4)) == 0


def test_what_is_known():
  asked = []

  @jax.jit
  def f(x):
    asked.append(quantized_check.is_known(x))
    return x

  f(SIGNS)
  shape = jax.ShapeDtypeStruct((2,), jnp.float32)
  assert asked == [quantized_check.is_known(shape)] == [False]
  assert quantized_check.is_known(SIGNS)
  assert quantized_check.is_known([1, 0])


def test_shapes_that_fit():
  assert quantized_check.fits((1, O), (K, O))
  assert quantized_check.fits((), (K, O))
  assert not quantized_check.fits((2, O), (K, O))
  assert not quantized_check.fits((K, O), (1, O))  # it would grow
