"""Drawing tokens: which are possible, how often, and the loop over them."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from bnnjax.models import generation
from bnnjax.models.decoder import Decoder
from bnnjax.models.generation import draw, generate
from bnnjax.models.mamba import Mamba

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


def test_two_texts_are_one_program(model):
  programs = []
  for seed in (0, 1):
    list(generate(model, [[1, 2]], 3, key=jax.random.key(seed), top_k=7))
    programs.append(generation._advance._cache_size())
  assert programs[0] == programs[1]


def test_what_pads_the_vocabulary_is_not_drawn(model):
  drawn = generate(model, [[1]] * 64, 2, key=jax.random.key(0), vocab=3)
  assert {int(t) for tokens in drawn for t in tokens} == {0, 1, 2}


@pytest.mark.parametrize(
  ("build", "sizes"), [(Decoder, SIZES), (Mamba, {"vocab": 11, "blocks": 1})]
)
def test_tokens_outside_the_vocabulary(build, sizes):
  model = build(**sizes, variant="tiny", rngs=nnx.Rngs(0))
  for token in (-1, 11):
    with pytest.raises(ValueError, match=rf"must be 0 \.\. 10, .*{token}"):
      model(jnp.array([[3, token]]))


@pytest.mark.parametrize("build", [Decoder, Mamba])
def test_no_block(build):
  with pytest.raises(ValueError, match="at least one layer|`blocks` must be"):
    build(vocab=11, features=64, blocks=0, variant="tiny", rngs=nnx.Rngs(0))


@pytest.mark.parametrize(
  ("changes", "message"),
  [
    ({"prompt": [[]]}, "at least one token"),
    ({"prompt": [[3, 11]]}, r"must be 0 \.\. 10, .*: got 3 \.\. 11"),
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
