"""Checks of the inputs of models: shapes of images, values of tokens."""

from collections.abc import Sequence

import jax
import numpy as np


def check_image_shape(shape: Sequence[int]) -> None:
  """Raises `ValueError` unless `shape` is `[H, W, C]` with positive sizes."""
  if len(shape) != 3 or min(shape) < 1:
    raise ValueError(
      f"An image is `[height, width, channels]`, got shape {tuple(shape)}."
    )


def check_tokens(tokens: jax.Array, vocab: int) -> None:
  """Raises if tokens are outside the vocabulary.

  Indexing would silently read the nearest entry. Under `jit` values are
  unknown, and nothing is checked.

  Args:
    tokens: int, of any shape.
    vocab: entries of the vocabulary.

  Raises:
    ValueError: a token below 0, or not below `vocab`.
  """
  if isinstance(tokens, jax.core.Tracer) or not tokens.size:
    return
  known = np.asarray(tokens)
  least, most = known.min(), known.max()
  if least < 0 or most >= vocab:
    raise ValueError(
      f"Tokens must be 0 .. {vocab - 1}, the entries of the vocabulary: got"
      f" {least} .. {most}."
    )
