"""Generates text with a language model, token by token.

  for tokens in generate(model, prompt, 100, key=jax.random.key(0), top_p=0.9):
    ...  # int32 [B], as soon as they are drawn

The `caches` of a model hold what it needs of earlier tokens: keys and values
(`decoder`), or a state of constant size (`mamba`).
"""

import functools
from collections.abc import Iterator, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from bnnjax.core.number_checks import number
from bnnjax.core.progress import DEPLOYED
from bnnjax.models.checks import check_tokens

NONE = -1  # stands for no token


def generate(
  model: nnx.Module,
  prompt: Sequence[Sequence[int]] | np.ndarray | jax.Array,
  length: int,
  *,
  key: jax.Array,
  vocab: int | None = None,
  stop: Sequence[int] = (),
  temperature: float = 1.0,
  top_k: int = 0,
  top_p: float = 1.0,
) -> Iterator[np.ndarray]:
  """Continues every prompt by up to `length` tokens, with the deployed network.

  A text depends on its own prompt and key only. Prompts of different lengths
  start together: all are read up to the end of the shortest, which then draws
  while the others are still being read. Nothing is padded, so that only tokens
  enter a state.

  Example:
    Of the prompts `[1, 2]` and `[3, 4, 5]`, the first call reads `[1, 2]` and
    `[3, 4]`, and draws a token for the first text alone.

  Args:
    model: called as `model(tokens, mode, caches=..., last=True)`; has
      `empty_caches`.
    prompt: int `[B, T]`, or B sequences of at least one int each.
    length: maximum number of tokens to draw.
    key: one key, into which each text folds its number, or `[B]` keys. A text
      folds the number of each token into its own key.
    vocab: number of entries that may be drawn, by default all; the others may
      be padding of the vocabulary.
    stop: tokens that end a text, which includes the one that ended it.
    temperature, top_k, top_p: see `draw`.

  Returns:
    An iterator over int32 `[B]`: the next token of every text, or `NONE` if the
    text has ended or its prompt is still being read. It ends with the last
    text. The first step includes compilation.

  Raises:
    ValueError: an empty prompt, tokens outside the vocabulary, more tokens than
      the model has positions for, or bad settings of `draw`; raised at the
      call.
  """
  prompts = _rows(prompt)
  if length < 1:
    raise ValueError(f"`length` must be at least 1, got {length}.")
  check_drawing(temperature, top_k, top_p)
  check_tokens(np.concatenate(prompts), model.vocab)
  lengths = np.array([len(prompt) for prompt in prompts])
  longest = getattr(model, "max_len", None)
  room = int(lengths.max()) + length - 1  # the last token is not read
  if longest is not None and room > longest:
    raise ValueError(
      f"Prompt and text have {lengths.max()} + {length} tokens, of which the"
      f" last is not read, but the model has positions for {longest}"
      " (`max_len`)."
    )
  if not jnp.ndim(key):
    key = jax.vmap(jax.random.fold_in, (None, 0))(key, np.arange(len(prompts)))
  if key.shape != lengths.shape:
    raise ValueError(
      f"`key` is one key or one for each of {len(prompts)} prompts, got shape"
      f" {key.shape}."
    )
  options = (("temperature", temperature), ("top_k", top_k), ("top_p", top_p))
  return _tokens(model, prompts, length, key, stop, vocab, options)


def _tokens(
  model: nnx.Module,
  prompts: list[np.ndarray],
  length: int,
  keys: jax.Array,
  stop: Sequence[int],
  vocab: int | None,
  options: tuple[tuple[str, Any], ...],
) -> Iterator[np.ndarray]:
  """The iterator that `generate` returns."""
  graphdef, state = nnx.split(model)
  lengths = np.array([len(prompt) for prompt in prompts])
  first, room = int(lengths.min()), int(lengths.max()) + length - 1
  caches = model.empty_caches(len(prompts), room)
  last = jnp.asarray([prompt[:first] for prompt in prompts], jnp.int32)
  ended = np.zeros(len(prompts), bool)
  for place in range(first, room + 1):
    given = np.array(
      [p[place] if place < len(p) else NONE for p in prompts], np.int32
    )
    last, caches = _advance(
      graphdef, vocab, options, state, caches, last, keys,
      place - lengths, given,
    )  # fmt: skip
    drawn = np.asarray(last)
    yield np.where(ended | (given != NONE), NONE, drawn)
    ended |= (given == NONE) & np.isin(drawn, stop)
    ended |= place - lengths >= length - 1
    if ended.all():
      return
    last = last[:, None]


def _rows(prompt: Any) -> list[np.ndarray]:
  """Prompts as arrays, each int `[T]`; raises as `generate`."""
  rows = [np.asarray(row) for row in prompt]
  fit = [row.ndim == 1 and row.size and row.dtype.kind in "iu" for row in rows]
  if not rows or not all(fit):
    shapes = ", ".join(f"{row.dtype}{list(row.shape)}" for row in rows)
    raise ValueError(
      "`prompt` is int [batch, tokens], or a sequence of ints for each text,"
      f" with at least one token: got {shapes or 'no text'}."
    )
  return rows


@functools.partial(
  jax.jit,
  static_argnames=("graphdef", "vocab", "options"),
  donate_argnames="caches",
)
def _advance(
  graphdef, vocab, options, state, caches, tokens, keys, numbers, given
):
  """The token after `tokens`, drawn or given, and the new caches."""
  model = nnx.merge(graphdef, state)
  logits, caches = model(tokens, DEPLOYED, caches=caches, last=True)

  def one(logits, key, number):
    key = jax.random.fold_in(key, number)
    return draw(logits[None], key, **dict(options))[0]

  drawn = jax.vmap(one)(logits[:, -1, :vocab], keys, numbers)
  return jnp.where(given == NONE, drawn, given), caches


def check_drawing(temperature: float, top_k: int, top_p: float) -> None:
  """Checks the settings of `draw`.

  Raises:
    ValueError: a temperature that is negative or not finite, a negative
      `top_k`, or a `top_p` outside (0, 1].
  """
  number("temperature", temperature, 0)
  if top_k < 0:
    raise ValueError(f"`top_k` must be 0 (off) or above, got {top_k}.")
  if not 0 < top_p <= 1:
    raise ValueError(f"`top_p` must be in (0, 1], got {top_p}.")


def draw(
  logits: jax.Array,
  key: jax.Array,
  *,
  temperature: float = 1.0,
  top_k: int = 0,
  top_p: float = 1.0,
) -> jax.Array:
  """Draws from `softmax(logits / temperature)`, restricted to likely entries.

  Ties with the least likely of the kept entries are kept too.

  Args:
    logits: `[B, V]`.
    key: random numbers.
    temperature: 0 chooses the likeliest entry.
    top_k: keep the `top_k` likeliest entries (Fan et al. 2018, 1805.04833); 0
      keeps all.
    top_p: keep the fewest entries whose probabilities sum to at least `top_p`
      (nucleus sampling, Holtzman et al. 2020, 1904.09751).

  Returns:
    int32 `[B]`.
  """
  if temperature == 0:
    return jnp.argmax(logits, -1).astype(jnp.int32)
  given = logits.astype(jnp.float32)
  # Relative to the largest: finite when divided by a tiny temperature.
  logits = given - jnp.max(given, -1, keepdims=True)
  logits = logits / max(temperature, float(jnp.finfo(jnp.float32).tiny))
  if 0 < top_k < logits.shape[-1]:
    least = jax.lax.top_k(given, top_k)[0][:, -1:]
    logits = jnp.where(given < least, -jnp.inf, logits)
  if top_p < 1:
    ordered = jnp.sort(logits, axis=-1, descending=True)
    probs = jax.nn.softmax(ordered, -1)
    kept = jnp.cumsum(probs, -1) - probs < top_p  # the sum before an entry
    least = jnp.min(jnp.where(kept, ordered, jnp.inf), -1, keepdims=True)
    logits = jnp.where(logits < least, -jnp.inf, logits)
  return jax.random.categorical(key, logits).astype(jnp.int32)
