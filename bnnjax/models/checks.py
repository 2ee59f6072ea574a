"""Checks of models: shapes of images, values of tokens, non-linearities."""

import warnings
from collections.abc import Sequence

import jax
import numpy as np

from bnnjax.core.spec import parse
from bnnjax.layers.linear import Spec


def check_image_shape(shape: Sequence[int]) -> None:
  """Raises `ValueError` unless `shape` is `[H, W, C]` with positive sizes."""
  if len(shape) != 3 or min(shape) < 1:
    raise ValueError(
      f"An image is `[height, width, channels]`, got shape {tuple(shape)}."
    )


def warn_if_linear(model: str, act: Spec, remedy: str) -> None:
  """Warns of float activations where the sign is the only non-linearity.

  Args:
    model: how a person calls a network whose body has no other one.
    act: binarizer of its activations.
    remedy: what to set instead, as the end of a sentence.

  Warns:
    UserWarning: `act` is float: the body would be linear.
  """
  if parse(act, "act") is None:
    warnings.warn(
      f"{model} has no non-linearity between its convolutions but the binarizer"
      " of its activations: with `act=None` they are linear, which is no float"
      f" baseline. {remedy}",
      stacklevel=3,
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
