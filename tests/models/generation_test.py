"""Drawing tokens: which are possible, how often, and the loop over them."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from bnnjax.models.decoder import Decoder
from bnnjax.models.generation import draw, generate

PROBS = np.array([0.1, 0.4, 0.2, 0.3])
SIZES = {
  "vocab": 11, "max_len": 12, "features": 16, "blocks": 1, "heads": 2,
  "hidden": 16,
}  # fmt: skip


def shares(**options):
  """How often each entry is drawn."""
  logits = jnp.tile(jnp.log(PROBS), (20_000, 1))
  drawn = draw(logits, jax.random.key(0), **options)
  assert drawn.dtype == jnp.int32
  return np.bincount(drawn, minlength=4) / drawn.size


@pytest.mark.parametrize(
  ("options", "want"),
  [
    ({}, PROBS),
    ({"temperature": 0}, [0, 1, 0, 0]),
    ({"temperature": 0.5}, PROBS**2 / sum(PROBS**2)),
    ({"top_k": 2}, [0, 4 / 7, 0, 3 / 7]),
    ({"top_k": 9}, PROBS),
    ({"top_p": 0.39}, [0, 1, 0, 0]),
    ({"top_p": 0.75}, [0, 4 / 9, 2 / 9, 3 / 9]),
    ({"top_k": 3, "top_p": 0.5}, [0, 4 / 7, 0, 3 / 7]),
  ],
)
def test_draw(options, want):
  np.testing.assert_allclose(shares(**options), want, atol=0.015)


@pytest.fixture(scope="module")
def model():
  return Decoder(**SIZES, rngs=nnx.Rngs(0))


def test_greedy_text_is_what_the_whole_forward_says(model):
  prompt = np.array([[1, 2, 3], [4, 5, 6]])
  text = prompt
  for got in generate(model, prompt, 4, key=jax.random.key(0), temperature=0):
    want = jnp.argmax(model(jnp.asarray(text))[:, -1], -1)
    np.testing.assert_array_equal(got, want)
    text = np.concatenate([text, got[:, None]], axis=1)


def test_positions_can_be_filled(model):
  drawn = generate(model, [[1, 2]], 11, key=jax.random.key(0))
  assert len(list(drawn)) == 11


def test_a_key_is_a_text(model):
  def text(seed):
    drawn = generate(model, [[1, 2]], 8, key=jax.random.key(seed))
    return np.concatenate(list(drawn)).tolist()

  assert text(0) == text(0)
  assert text(0) != text(1)


@pytest.mark.parametrize(
  ("changes", "message"),
  [
    ({"prompt": [[]]}, "at least one token"),
    ({"prompt": [[3, 11]]}, r"tokens 3 \.\. 11, the vocabulary 11"),
    ({"length": 0}, "`length` must be at least 1"),
    ({"length": 12}, r"2 \+ 12 tokens, .* has positions for 12"),
    ({"temperature": -1.0}, "`temperature` must be 0 or above"),
    ({"top_k": -1}, "`top_k` must be 0"),
    ({"top_p": 0.0}, r"`top_p` must be in \(0, 1\]"),
  ],
)
def test_bad_input(model, changes, message):
  given = {"prompt": [[1, 2]], "length": 3, "key": jax.random.key(0), **changes}
  with pytest.raises(ValueError, match=message):
    generate(model, **given)
