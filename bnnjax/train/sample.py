"""Text from a trained language model."""

from collections.abc import Iterator, Sequence

import jax
import numpy as np
from etils import epath

from bnnjax import data
from bnnjax.models import generation
from bnnjax.train import inputs, setup
from bnnjax.train import workdir as workdir_lib


def sample(
  workdir: epath.PathLike,
  prompt: str,
  length: int,
  *,
  batch: int = 1,
  seed: int = 0,
  checkpoint: str = "last",
  **drawing: float,
) -> Iterator[list[str]]:
  """Texts that go on from a prompt, piece by piece, by the deployed network.

  Args:
    workdir: of a run whose task is `language_modeling`.
    prompt: at least one character.
    length: tokens of a text.
    batch: number of texts.
    seed: another gives other texts.
    checkpoint: `"last"` or `"best"`.
    **drawing: `temperature`, `top_k`, `top_p`, see `generation.draw`.

  Returns:
    An iterator over the next characters of every text; a list entry is empty
    while a token leaves a character unfinished. The pieces of a text, joined,
    are the text without the prompt.

  Raises:
    ValueError: no run there, or one of another task; a prompt with characters
      that the vocabulary lacks; anything else that `generation.generate`
      refuses. Raised at once.
  """
  config = workdir_lib.read_config(workdir)
  if config.task.name != "language_modeling":
    raise ValueError(
      f"The run {workdir} has the task {config.task.name!r}: only one of"
      " 'language_modeling' can be sampled."
    )
  if batch < 1:
    raise ValueError(f"`batch` must be at least 1, got {batch}.")
  tokenizer = inputs.tokenizer_of(config)
  if len(tokenizer) != config.data.vocab:
    raise ValueError(
      f"The run {workdir} has a vocabulary of {config.data.vocab} entries, its"
      f" data {config.data.name!r} now give {len(tokenizer)}: the text was"
      " changed."
    )
  try:
    prompt.encode()
  except UnicodeEncodeError as error:
    raise ValueError(f"The prompt is not UTF-8: got {prompt!r}.") from error
  tokens = tokenizer.encode(prompt)
  if tokenizer.decode(tokens) != prompt:
    kept = set(tokenizer.decode(tokens))
    lacking = "".join(sorted(set(prompt) - kept))
    raise ValueError(f"The vocabulary of {workdir} lacks {lacking!r}.")
  network, state, _ = setup.restore(config, workdir, checkpoint)
  drawn = generation.generate(
    network.merge(state),
    np.tile(tokens, (batch, 1)),
    length,
    key=jax.random.key(seed),
    vocab=len(tokenizer),
    **drawing,
  )
  return _pieces(tokenizer, drawn, batch)


def _pieces(
  tokenizer: data.LmTokenizer, drawn: Iterator[np.ndarray], batch: int
) -> Iterator[list[str]]:
  """Characters as soon as their last byte is there."""
  waiting: list[list[int]] = [[] for _ in range(batch)]
  for tokens in drawn:
    for text, token in zip(waiting, tokens):
      text.append(int(token))
    yield [_complete(tokenizer, text) for text in waiting]
  yield [tokenizer.decode(text) for text in waiting]


def _complete(tokenizer: data.LmTokenizer, waiting: Sequence[int]) -> str:
  """Takes out the characters of waiting tokens, unless the last is cut."""
  text = tokenizer.decode(waiting)
  if text.endswith("\ufffd") and len(waiting) < 4:  # bytes of a character
    return ""
  waiting.clear()
  return text
