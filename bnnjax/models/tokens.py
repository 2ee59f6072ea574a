"""What models of text ask of their input."""

import jax
import numpy as np


def check_tokens(tokens: jax.Array, vocab: int) -> None:
  """Refuses tokens that the vocabulary does not have.

  Indexing would take the nearest entry instead. Under `jit` values are unknown
  and nothing is checked.

  Args:
    tokens: int, of any shape.
    vocab: entries of the vocabulary.

  Raises:
    ValueError: a token below 0, or `vocab` and above.
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
