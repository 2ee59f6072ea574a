"""Shapes of images and tokens that a model is given."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from bnnjax.models.checks import check_image_shape, check_tokens


@pytest.mark.parametrize("shape", [(32, 3), (32, 0, 3), (1, 32, 32, 3)])
def test_an_image_has_three_sizes(shape):
  check_image_shape((32, 1, 3))
  with pytest.raises(ValueError, match=r"An image is.*got shape \("):
    check_image_shape(shape)


@pytest.mark.parametrize("tokens", [[[0, 5]], [[-1, 4]]])
def test_tokens_are_entries_of_the_vocabulary(tokens):
  check_tokens(jnp.array([[0, 4]]), 5)
  low, high = np.min(tokens), np.max(tokens)
  with pytest.raises(ValueError, match=rf"0 \.\. 4.*got {low} \.\. {high}\."):
    check_tokens(jnp.array(tokens), 5)


def test_unknown_values_pass():
  check_tokens(jnp.zeros((0,), int), 5)
  jax.eval_shape(lambda x: check_tokens(x, 5), jnp.array([9]))
