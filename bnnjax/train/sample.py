"""Samples of a trained run: text of a language model, or arrays in a file."""

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
from bnnjax.train import inputs, setup
from bnnjax.train import workdir as workdir_lib
from bnnjax.train.config_check import MOST

FILE = "samples.npy"  # in the workdir


def is_text(workdir: epath.PathLike) -> bool:
  """Whether the samples of a run go on from a prompt, see `sample`."""
  config = workdir_lib.read_config(workdir)
  return isinstance(tasks.build(config.task), LanguageModeling)


def write(
  workdir: epath.PathLike,
  number: int,
  *,
  seed: int = 0,
  checkpoint: str = "last",
) -> tuple[epath.Path, np.ndarray]:
  """Writes samples of any other task, `Task.samples`, to a file of the workdir.

  Args:
    workdir: of a run.
    number: of the samples.
    seed: another gives other samples.
    checkpoint: `"last"` or `"best"`.

  Returns:
    The file, which takes the place of an older one, and what it holds.

  Raises:
    ValueError: no run there, its task has no samples, or a number or seed that
      cannot be.
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
  network, state, _ = setup.restore(config, workdir, checkpoint)
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
  """Texts that go on from prompts, piece by piece, by the deployed network.

  Args:
    workdir: of a run whose task is `language_modeling` or one made of it.
    prompt: at least one character; or several such, of any lengths.
    length: tokens of a text, at most.
    batch: number of texts of each prompt; those of one follow each other.
    seed: another gives other texts.
    checkpoint: `"last"` or `"best"`.
    stop: texts that end a text; neither they nor what follows is given.
    ignore_end: go on behind an end-of-text token (`LmTokenizer.ends`), which
      else ends a text and is not given.
    **drawing: `temperature`, `top_k`, `top_p`, see `generation.draw`.

  Returns:
    An iterator over the next characters of every text; a list entry is empty
    while a token leaves a character unfinished. The pieces of a text, joined,
    are what all its tokens decode to, behind the prompt.

  Raises:
    ValueError: no run there, or one of another task; a prompt with characters
      that the vocabulary lacks, or without any; an empty stop text; anything else that `generation.generate`
      refuses. Raised at once.

  Warns:
    UserWarning: the tokenizer is not lossless and changes a prompt.
  """
  config = workdir_lib.read_config(workdir)
  task = tasks.build(config.task)
  if not isinstance(task, LanguageModeling):
    raise ValueError(
      f"The run {workdir} has the task {config.task.name!r}: only one of"
      " 'language_modeling' goes on from a prompt."
    )
  _check(batch, seed)
  prompts = [prompt] if isinstance(prompt, str) else list(prompt)
  if not prompts:
    raise ValueError("Give at least one prompt, got none.")
  if isinstance(stop, str) or not all(stop):
    raise ValueError(
      f"`stop` is a sequence of texts that are not empty, got {stop!r}."
    )
  tokenizer = inputs.tokenizer_of(config)
  if len(tokenizer) != config.data.vocab:
    raise ValueError(
      f"The run {workdir} has a vocabulary of {config.data.vocab} entries, its"
      f" data {config.data.name!r} now give {len(tokenizer)}: the text was"
      " changed."
    )
  network, state, info = setup.restore(config, workdir, checkpoint)
  theirs = info.get("identity", {}).get("data", {}).get("vocabulary")
  if theirs and theirs != tokenizer.digest():
    raise UserError(
      f"The run {workdir} has another vocabulary than its data"
      f" {config.data.name!r} now give: the text was changed."
    )
  starts = [_encoded(tokenizer, text, workdir) for text in prompts]
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
  return _pieces([_Text(stream, stop, ends) for stream in streams], drawn)


def _encoded(
  tokenizer: data.LmTokenizer, prompt: str, workdir: epath.PathLike
) -> np.ndarray:
  """The tokens of a prompt; raises and warns as `sample` says."""
  try:
    prompt.encode()
  except UnicodeEncodeError as error:
    raise ValueError(f"The prompt is not UTF-8: got {prompt!r}.") from error
  tokens = tokenizer.encode(prompt)
  if not len(tokens):
    raise ValueError(
      f"The prompt {prompt!r} has no token, but a text goes on from at least one"
      " token: give another --prompt."
    )
  _check_prompt(tokenizer, prompt, tokens, workdir)
  return tokens


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
  if seen != prompt:
    warnings.warn(
      f"The vocabulary of {workdir} is not lossless: the model reads the prompt"
      f" {prompt!r} as {seen!r}.",
      stacklevel=4,
    )


def _pieces(
  texts: Sequence["_Text"], drawn: Iterator[np.ndarray]
) -> Iterator[list[str]]:
  """Characters as soon as no later token can change them."""
  for tokens in drawn:
    yield [text.push(int(token)) for text, token in zip(texts, tokens)]
    if all(text.ended for text in texts):
      return
  yield [text.end() for text in texts]


class _Text:
  """A text as it comes, to the first of some texts or tokens.

  What may become a stop text waits until it is known.

  Args:
    stream: of its tokens, see `data.streams`.
    stop: texts that end it.
    ends: tokens that end it.
  """

  def __init__(self, stream: Any, stop: Sequence[str], ends: Container[int]):
    self._stream, self._stop, self._ends = stream, stop, ends
    self._waits, self.ended = "", False

  def push(self, token: int) -> str:
    """The text that is certain with a token, and was not before."""
    if self.ended or token == generation.NONE:
      return ""
    if token in self._ends:
      return self.end()
    return self._before_stop(self._stream.push(token))

  def end(self) -> str:
    """What has waited."""
    if self.ended:
      return ""
    new = self._before_stop(self._stream.end()) + self._waits
    self._waits, self.ended = "", True
    return new

  def _before_stop(self, new: str) -> str:
    """What is certain once `new` has come."""
    text = self._waits + new
    found = [
      (text.find(s) + len(s), text.find(s)) for s in self._stop if s in text
    ]
    if found:
      # The first that is complete, in whatever pieces the text comes.
      self._waits, self.ended = "", True
      return text[: min(found)[1]]
    begun = [
      n for s in self._stop for n in range(1, len(s)) if text.endswith(s[:n])
    ]
    certain = len(text) - max(begun, default=0)
    self._waits = text[certain:]
    return text[:certain]
