"""Which keys a query may attend to, by hand."""

import jax.numpy as jnp
import numpy as np
import pytest

from bnnjax.layers import attention_mask


def test_all_keys_are_spelled_out():
  shape = (2, 3, 4, 5)
  assert attention_mask.checked(None, shape) is None
  mask = attention_mask.checked(jnp.ones((4, 1), bool), shape)
  assert mask.shape == (1, 1, 4, 5)
  with pytest.raises(ValueError, match=r"= \(2, 3, 4, 5\): got shape \(4,\)"):
    attention_mask.checked(jnp.ones(4, bool), shape)
  with pytest.raises(ValueError, match="must be bool .* got float32"):
    attention_mask.checked(jnp.ones(5), shape)


@pytest.mark.parametrize(
  ("causal", "end", "want"),
  [
    (True, None, [[1, 0, 0, 0], [1, 1, 0, 0]]),
    (True, 3, [[1, 1, 0, 0], [1, 1, 1, 0]]),  # the queries are tokens 1 and 2
    (False, 3, [[1, 1, 1, 0]]),
  ],
)
def test_causality_and_the_fill_of_a_cache(causal, end, want):
  seen = attention_mask.visible(None, 2, 4, causal, end)
  np.testing.assert_array_equal(seen, want)
  mask = jnp.array([False, True, True, True])
  both = attention_mask.visible(mask, 2, 4, causal, end)
  np.testing.assert_array_equal(both, np.array(want, bool) & mask)


def test_without_both_the_mask_is_as_it_was():
  mask = jnp.ones((1, 1, 2, 4), bool)
  assert attention_mask.visible(mask, 2, 4, False, None) is mask
