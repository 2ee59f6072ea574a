"""Terms as they are given: masks, densities, starts."""

from fractions import Fraction

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import bnnjax as bx
from bnnjax.layers import weight_terms

ROWS = np.array([[1], [1], [0], [1]], bool)


def term(**fields):
  return bx.WeightTerm(jnp.ones((4, 2)), "ste", **fields)


def density(**fields):
  return weight_terms.density("Term 0", term(**fields), (4, 2))


def test_density_is_the_share_of_the_elements():
  assert density() == 1
  assert density(mask=ROWS) == Fraction(3, 4)
  assert density(mask=ROWS, complement=True) == Fraction(1, 4)
  assert density(mask=ROWS, density=0.7) == Fraction(0.7).limit_denominator()
  with pytest.raises(ValueError, match=r"in \(0, 1\], got 1\.5"):
    density(density=1.5)
  with pytest.raises(ValueError, match="mask of Term 0 keeps no element"):
    density(mask=ROWS & False)


def test_equal_masks_and_complements():
  assert weight_terms.are_equal(ROWS, ROWS.astype(np.float32))
  assert not weight_terms.are_equal(ROWS, ~ROWS)
  assert not weight_terms.are_equal(ROWS, ROWS.T)
  assert weight_terms.are_complements(ROWS, 1 - ROWS.astype(int))
  assert not weight_terms.are_complements(ROWS, ROWS)
  abstract = jax.ShapeDtypeStruct(ROWS.shape, bool)
  assert not weight_terms.are_equal(abstract, abstract)


def test_values_that_int8_holds():
  wide = lambda values, *kind: weight_terms.is_whole(  # noqa: E731
    jnp.asarray(values), bx.BitTag(*kind)
  )
  assert wide([0.5, 0.25], 1, (-1, 1))
  assert not wide([0.5], 2, (-0.5, 0.5))
  assert wide([100], 8)
  assert not wide([100], 16)
  assert wide([1.0, -127.0], 8)
  assert not wide([1.5], 8)
  assert not wide([128.0], 9)
