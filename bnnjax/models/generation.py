"""Text from a language model, token by token.

  for tokens in generate(model, prompt, 100, key=jax.random.key(0), top_p=0.9):
    ...  # int32 [B], as soon as they are drawn

The model keeps what it needs of the tokens before in its `caches`: keys and
values (`decoder`), or a state of constant size (`mamba`).
"""

import functools
from collections.abc import Iterator

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from bnnjax.core.progress import DEPLOYED
from bnnjax.models.tokens import check_tokens


def generate(
  model: nnx.Module,
  prompt: np.ndarray | jax.Array,
  length: int,
  *,
  key: jax.Array,
  vocab: int | None = None,
  temperature: float = 1.0,
  top_k: int = 0,
  top_p: float = 1.0,
) -> Iterator[np.ndarray]:
  """Draws the next `length` tokens, by the deployed network.

  Args:
    model: called as `model(tokens, mode, caches=..., last=True)`, with
      `empty_caches`.
    prompt: int `[B, T]`, T at least 1.
    length: tokens to draw.
    key: random numbers; each step folds its number in.
    vocab: entries that may be drawn, the first of them; by default all. A
      vocabulary may have been padded.
    temperature, top_k, top_p: see `draw`.

  Returns:
    An iterator over int32 `[B]`. The first takes the time of compilation.

  Raises:
    ValueError: an empty prompt, tokens outside the vocabulary, more tokens than
      the model has positions for, or what `draw` refuses. Raised at once.
  """
  prompt = np.asarray(prompt)
  if prompt.ndim != 2 or not prompt.size:
    raise ValueError(
      "A prompt is int [batch, tokens] with at least one token, got shape"
      f" {prompt.shape}."
    )
  if length < 1:
    raise ValueError(f"`length` must be at least 1, got {length}.")
  check_drawing(temperature, top_k, top_p)
  check_tokens(prompt, model.vocab)
  longest = getattr(model, "max_len", None)
  room = prompt.shape[1] + length - 1  # the last is drawn, not read
  if longest is not None and room > longest:
    raise ValueError(
      f"Prompt and text have {prompt.shape[1]} + {length} tokens, of which the"
      f" last is not read, but the model has positions for {longest}"
      " (`max_len`)."
    )
  graphdef, state = nnx.split(model)
  options = (("temperature", temperature), ("top_k", top_k), ("top_p", top_p))

  def tokens():
    last, caches = jnp.asarray(prompt), model.empty_caches(len(prompt), room)
    for number in range(length):
      now = jax.random.fold_in(key, number)
      last, caches = _advance(
        graphdef, vocab, options, state, caches, last, now
      )
      yield np.asarray(last)
      last = last[:, None]

  return tokens()


@functools.partial(
  jax.jit,
  static_argnames=("graphdef", "vocab", "options"),
  donate_argnames="caches",
)
def _advance(graphdef, vocab, options, state, caches, tokens, key):
  """The token after `tokens`, and the caches with them."""
  model = nnx.merge(graphdef, state)
  logits, caches = model(tokens, DEPLOYED, caches=caches, last=True)
  return draw(logits[:, -1, :vocab], key, **dict(options)), caches


def check_drawing(temperature: float, top_k: int, top_p: float) -> None:
  """Refuses settings that `draw` cannot use.

  Raises:
    ValueError: a negative temperature or `top_k`, a `top_p` outside (0, 1].
  """
  if not temperature >= 0:
    raise ValueError(f"`temperature` must be 0 or above, got {temperature}.")
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
  """Draws from `softmax(logits / temperature)`, of its likeliest entries.

  Entries as likely as the least of them may be drawn too.

  Args:
    logits: `[B, V]`.
    key: random numbers.
    temperature: 0 takes the likeliest entry.
    top_k: only the `top_k` likeliest entries (Fan et al. 2018, 1805.04833); 0
      for all.
    top_p: only the fewest entries whose probabilities sum to at least `top_p`
      (nucleus sampling, Holtzman et al. 2020, 1904.09751).

  Returns:
    int32 `[B]`.
  """
  if temperature == 0:
    return jnp.argmax(logits, -1).astype(jnp.int32)
  logits = logits.astype(jnp.float32) / temperature
  if 0 < top_k < logits.shape[-1]:
    least = jax.lax.top_k(logits, top_k)[0][:, -1:]
    logits = jnp.where(logits < least, -jnp.inf, logits)
  if top_p < 1:
    ordered = jnp.sort(logits, axis=-1, descending=True)
    probs = jax.nn.softmax(ordered, -1)
    kept = jnp.cumsum(probs, -1) - probs < top_p  # what is before an entry
    least = jnp.min(jnp.where(kept, ordered, jnp.inf), -1, keepdims=True)
    logits = jnp.where(logits < least, -jnp.inf, logits)
  return jax.random.categorical(key, logits).astype(jnp.int32)
