"""Checks of sizes, heads and other arguments of layers."""

import jax.numpy as jnp
import numpy as np
import pytest

from bnnjax.layers import checks
from bnnjax.layers.conv import Conv


def test_whole_numbers():
  assert type(checks.whole("n", np.int64(3))) is int
  assert checks.whole("n", -3, least=None) == -3
  for value, message in (
    (0, "`n` must be at least 1, got 0"),
    (2**31, "`n` must be at most 2147483647"),
    (True, "`n` must be an int >= 1, got True"),
    (2.0, "`n` must be an int >= 1"),
  ):
    with pytest.raises((TypeError, ValueError), match=message):
      checks.whole("n", value)
  with pytest.raises(ValueError, match="`b` must be at least 1, got 0"):
    checks.check_sizes(a=1, b=0)


def test_exact_quotients():
  assert checks.exact(24, 2, 3) == 4
  for factors in ((5,), (0,)):
    with pytest.raises(ValueError, match="24 is no multiple of"):
      checks.exact(24, *factors)


def test_heads_divide_features_and_groups_divide_heads():
  checks.check_heads(8, 4, 2)
  with pytest.raises(ValueError, match="8 features in 3 heads"):
    checks.check_heads(8, 3, 1)
  with pytest.raises(ValueError, match="4 heads and 3 of keys"):
    checks.check_heads(8, 4, 3)


def test_precisions_are_those_of_jax():
  checks.check_precision("highest")
  with pytest.raises(ValueError, match="got 'hihgest'"):
    checks.check_precision("hihgest")


def test_a_transform_of_another_length_is_for_attention(rngs):
  with pytest.raises(ValueError, match="'ksh' makes 16 features of the 4"):
    Conv(4, 2, (3, 3), act="ksh > ste", rngs=rngs)


def test_sizes_that_would_end_the_process_are_refused(rngs):
  """XLA's own check of a product beyond int64 is an abort, no error."""
  for kwargs, message in (
    (
      {"padding": 10**10},
      "`padding` must be at most 2147483647, got 100000000",
    ),
    ({"padding": 2**30}, "`padding` must add at most 2147483647 places"),
    ({"strides": 10**30}, "`strides` must be at most 2147483647"),
    ({"dilation": 2**31}, "`dilation` must be at most 2147483647"),
  ):
    with pytest.raises(ValueError, match=message):
      Conv(1, 1, (3, 3), **kwargs, rngs=rngs)
  with pytest.raises(ValueError, match="kernel of Conv .*at most 2\\^40"):
    Conv(1, 1, (10**6, 10**7), rngs=rngs)
  conv = Conv(1, 1, (3, 3), padding=-3, rngs=rngs)
  with pytest.raises(ValueError, match="crops more than a map of shape"):
    conv(jnp.ones((1, 5, 5, 1)))
