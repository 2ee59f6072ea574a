"""Text from a trained language model."""

import warnings
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
    are what all its tokens decode to, behind the prompt.

  Raises:
    ValueError: no run there, or one of another task; a prompt with characters
      that the vocabulary lacks; anything else that `generation.generate`
      refuses. Raised at once.

  Warns:
    UserWarning: the tokenizer is not lossless and changes the prompt.
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
  _check_prompt(tokenizer, prompt, tokens, workdir)
  network, state, _ = setup.restore(config, workdir, checkpoint)
  drawn = generation.generate(
    network.merge(state),
    np.tile(tokens, (batch, 1)),
    length,
    key=jax.random.key(seed),
    vocab=len(tokenizer),
    **drawing,
  )
  return _pieces(tokenizer, drawn, batch, tokens)


def _check_prompt(
  tokenizer: data.LmTokenizer,
  prompt: str,
  tokens: np.ndarray,
  workdir: epath.PathLike,
) -> None:
  """Refuses what the vocabulary lacks, says what else it changes."""
  unknown = tokenizer.unknown
  if unknown is not None and unknown in tokens:
    words = [w for w in prompt.split() if unknown in tokenizer.encode(w)]
    text = "".join(words) or prompt
    single = {c for c in text if unknown in tokenizer.encode(c)}
    # Where only whole words are entries, no letter says what is lacking.
    lacking = "".join(sorted(single)) if single < set(text) else " ".join(words)
    raise ValueError(
      f"The vocabulary of {workdir} lacks {lacking or prompt!r}."
    )
  seen = tokenizer.decode(tokens)
  if seen != prompt and len(tokens):
    warnings.warn(
      f"The vocabulary of {workdir} is not lossless: the model reads the prompt"
      f" {prompt!r} as {seen!r}.",
      stacklevel=3,
    )


def _pieces(
  tokenizer: data.LmTokenizer,
  drawn: Iterator[np.ndarray],
  batch: int,
  prompt: Sequence[int] = (),
) -> Iterator[list[str]]:
  """Characters as soon as no later token can change them."""
  texts = [tokenizer.stream(prompt) for _ in range(batch)]
  for tokens in drawn:
    yield [text.push(int(token)) for text, token in zip(texts, tokens)]
  yield [text.end() for text in texts]
