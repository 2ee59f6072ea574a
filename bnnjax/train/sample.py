"""Samples from a trained run: text of a language model, or arrays in a file."""

import warnings
from collections.abc import Container, Iterator, Sequence
from typing import Any

import jax
import numpy as np
from etils import epath

from bnnjax import data, tasks
from bnnjax.errors import UserError
from bnnjax.models import generation
from bnnjax.tasks.base import Task
from bnnjax.tasks.language_modeling import LanguageModeling
from bnnjax.train import config as config_lib
from bnnjax.train import datasets, runs
from bnnjax.train import workdir as workdir_lib
from bnnjax.train.config_check import MOST
from bnnjax.train.networks import Network

FILE = "samples.npy"  # in the workdir


def is_text(workdir: epath.PathLike) -> bool:
  """Whether a run writes text that continues a prompt, see `sample`."""
  config = workdir_lib.read_config(workdir)
  return isinstance(tasks.build(config.task), LanguageModeling)


def write(
  workdir: epath.PathLike,
  number: int,
  *,
  seed: int = 0,
  checkpoint: str = "last",
) -> tuple[epath.Path, np.ndarray]:
  """Writes samples of a task without prompts (`Task.samples`) to a file.

  Args:
    workdir: of a run.
    number: how many samples to draw.
    seed: of the random numbers.
    checkpoint: `"last"` or `"best"`.

  Returns:
    The file, which replaces an older one, and the array that it holds.

  Raises:
    ValueError: the workdir holds no run, the task has no samples, or number or
      seed are out of range.
  """
  config = workdir_lib.read_config(workdir)
  task = tasks.build(config.task)
  if type(task).samples is Task.samples:
    raise UserError(
      f"The run {workdir} has the task {config.task.name!r}, which has no"
      " samples: 'language_modeling' has, and tasks that define `samples` of"
      " `bnnjax.tasks.base.Task`."
    )
  _check(number, seed)
  network, state, _ = runs.restore(config, workdir, checkpoint)
  drawn = task.samples(
    network.merge(state),
    config_lib.info_of(config),
    key=jax.random.key(seed),
    number=number,
  )
  path, drawn = epath.Path(workdir) / FILE, np.asarray(drawn)
  with path.open("wb") as file:
    np.save(file, drawn)
  return path, drawn


def _check(number: int, seed: int) -> None:
  if number < 1:
    raise ValueError(f"`batch` must be at least 1, got {number}.")
  if not 0 <= seed <= MOST["seed"]:
    raise ValueError(f"`seed` must be in [0, {MOST['seed']}], got {seed}.")


def sample(
  workdir: epath.PathLike,
  prompt: str | Sequence[str],
  length: int,
  *,
  batch: int = 1,
  seed: int = 0,
  checkpoint: str = "last",
  stop: Sequence[str] = (),
  ignore_end: bool = False,
  **drawing: float,
) -> Iterator[list[str]]:
  """Texts that continue prompts, piece by piece, by the deployed network.

  Args:
    workdir: of a run whose task is `language_modeling` or derived from it.
    prompt: at least one character; or several such prompts, of any lengths.
    length: largest number of tokens of a text.
    batch: number of texts for each prompt; those of one prompt are neighbours.
    seed: of the random numbers.
    checkpoint: `"last"` or `"best"`.
    stop: texts that end a text; neither they nor what follows is returned.
    ignore_end: continue after an end-of-text token (`LmTokenizer.ends`), which
      otherwise ends a text and is not returned.
    **drawing: `temperature`, `top_k`, `top_p`, see `generation.draw`.

  Returns:
    An iterator over the next characters of every text; an entry is empty while
    a token leaves a character unfinished. The pieces of a text, joined, are the
    decoded text of all its tokens after the prompt.

  Raises:
    ValueError: at once, if the workdir holds no run or one of another task, a
      prompt is empty or has characters that the vocabulary lacks, a stop text
      is empty, or `generation.generate` raises.

  Warns:
    UserWarning: the tokenizer is not lossless and changes a prompt.
  """
  config = workdir_lib.read_config(workdir)
  task = tasks.build(config.task)
  if not isinstance(task, LanguageModeling):
    raise ValueError(
      f"The run {workdir} has the task {config.task.name!r}: only a task"
      " derived from 'language_modeling' continues a prompt."
    )
  _check(batch, seed)
  prompts = [prompt] if isinstance(prompt, str) else list(prompt)
  if not prompts:
    raise ValueError("Give at least one prompt, got none.")
  if isinstance(stop, str) or not all(stop):
    raise ValueError(
      f"`stop` is a sequence of texts that are not empty, got {stop!r}."
    )
  network, state, tokenizer = _restored(config, workdir, checkpoint)
  starts = [encode_prompt(tokenizer, text, workdir) for text in prompts]
  ends = () if ignore_end else tokenizer.ends
  drawn = task.samples(
    network.merge(state),
    config_lib.info_of(config),
    key=jax.random.key(seed),
    number=batch,
    prompts=starts,
    length=length,
    stop=ends,
    **drawing,
  )
  streams = [tokenizer.stream(t) for t in starts for _ in range(batch)]
  return pieces([StoppedText(stream, stop, ends) for stream in streams], drawn)


def _restored(
  config: config_lib.Resolved, workdir: epath.PathLike, checkpoint: str
) -> tuple[Network, Any, data.LmTokenizer]:
  """Network, variables and tokenizer of a run.

  Raises:
    ValueError: the text of the data has changed, and with it the vocabulary.
  """
  tokenizer = datasets.tokenizer_of(config)
  if len(tokenizer) != config.data.vocab:
    raise ValueError(
      f"The run {workdir} has a vocabulary of {config.data.vocab} entries, its"
      f" data {config.data.name!r} now give {len(tokenizer)}: the text was"
      " changed."
    )
  network, state, info = runs.restore(config, workdir, checkpoint)
  theirs = info.get("identity", {}).get("data", {}).get("vocabulary")
  if theirs and theirs != tokenizer.digest():
    raise UserError(
      f"The run {workdir} has another vocabulary than its data"
      f" {config.data.name!r} now give: the text was changed."
    )
  return network, state, tokenizer


def encode_prompt(
  tokenizer: data.LmTokenizer, prompt: str, workdir: epath.PathLike
) -> np.ndarray:
  """The tokens of a prompt.

  Args:
    tokenizer: of the run.
    prompt: at least one character.
    workdir: of the run, for messages.

  Raises:
    ValueError: the prompt is not UTF-8, has no token, or has characters that
      the vocabulary lacks.

  Warns:
    UserWarning: the tokenizer changes the prompt.
  """
  try:
    prompt.encode()
  except UnicodeEncodeError as error:
    raise ValueError(f"The prompt is not UTF-8: got {prompt!r}.") from error
  tokens = tokenizer.encode(prompt)
  if not len(tokens):
    raise ValueError(
      f"The prompt {prompt!r} has no token, but a text continues at least one"
      " token: give another --prompt."
    )
  unknown = tokenizer.unknown
  if unknown is not None and unknown in tokens:
    words = [w for w in prompt.split() if unknown in tokenizer.encode(w)]
    text = "".join(words) or prompt
    single = {c for c in text if unknown in tokenizer.encode(c)}
    # If only whole words are entries, single letters do not tell what is missing.
    lacking = "".join(sorted(single)) if single < set(text) else " ".join(words)
    raise ValueError(
      f"The vocabulary of {workdir} lacks {lacking or prompt!r}."
    )
  seen = tokenizer.decode(tokens)
  if seen != prompt:
    warnings.warn(
      f"The vocabulary of {workdir} is not lossless: the model reads the prompt"
      f" {prompt!r} as {seen!r}.",
      stacklevel=3,
    )
  return tokens


def pieces(
  texts: Sequence["StoppedText"], drawn: Iterator[np.ndarray]
) -> Iterator[list[str]]:
  """The characters of each text, as soon as no later token can change them.

  Args:
    texts: one for each row of `drawn`.
    drawn: int32 `[B]`, the next token of every text, see `generation.generate`.
  """
  for tokens in drawn:
    yield [text.push(int(token)) for text, token in zip(texts, tokens)]
    if all(text.ended for text in texts):
      return
  yield [text.end() for text in texts]


class StoppedText:
  """A text that arrives token by token and ends at a stop text or token.

  Characters that may be the beginning of a stop text are held back.

  Args:
    stream: of its tokens, see `data.incremental_decoders`.
    stop: texts that end it.
    ends: tokens that end it.

  Example:
    With the stop text "abc", of bytes:

    >>> [text.push(byte) for byte in b"xabdabcy"]
    ['x', '', '', 'abd', '', '', '', '']
  """

  def __init__(self, stream: Any, stop: Sequence[str], ends: Container[int]):
    self._stream, self._stop, self._ends = stream, stop, ends
    self._waits, self.ended = "", False

  def push(self, token: int) -> str:
    """The characters that become certain with a token."""
    if self.ended or token == generation.NONE:
      return ""
    if token in self._ends:
      return self.end()
    return self._before_stop(self._stream.push(token))

  def end(self) -> str:
    """The characters that were held back."""
    if self.ended:
      return ""
    new = self._before_stop(self._stream.end()) + self._waits
    self._waits, self.ended = "", True
    return new

  def _before_stop(self, new: str) -> str:
    text = self._waits + new
    found = [
      (text.find(s) + len(s), text.find(s)) for s in self._stop if s in text
    ]
    if found:
      # The stop text that is complete first, however the text is cut in pieces.
      self._waits, self.ended = "", True
      return text[: min(found)[1]]
    begun = [
      n for s in self._stop for n in range(1, len(s)) if text.endswith(s[:n])
    ]
    certain = len(text) - max(begun, default=0)
    self._waits = text[certain:]
    return text[:certain]
