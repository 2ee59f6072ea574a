"""Drawing tokens: which are possible, how often, and the loop over them."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from bnnjax.models.decoder import Decoder
from bnnjax.models.generation import NONE, draw, generate
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
    ({"temperature": 1e-300}, [0, 1, 0, 0]),
    ({"temperature": 1e38}, [0.25] * 4),
    ({"temperature": 1e38, "top_k": 2}, [0, 0.5, 0, 0.5]),
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


LONGEST = 9
PROMPTS = [[1, 2, 3], [4], [5, 6, 7, 8, 9]]


@pytest.mark.parametrize("weight", [None, "fbi_llm"])
@pytest.mark.parametrize(
  "build",
  [
    lambda **kw: Decoder(**SIZES, **kw),
    lambda **kw: Mamba(
      11, features=16, blocks=2, head_size=8, state=4, chunk=2, **kw
    ),
    lambda **kw: Mamba(11, features=16, blocks=2, kind="mamba1", state=4, **kw),
  ],
)
def test_greedy_texts_are_what_the_whole_forward_says(build, weight):
  """Of prompts of different lengths, each as if it were alone."""
  model = build(weight=weight, rngs=nnx.Rngs(0))
  draws = np.random.default_rng(0)
  for _, p in nnx.iter_graph(model):
    if isinstance(p, nnx.Param):  # as built, a text repeats one token
      p[...] += draws.normal(0, 0.5, p.shape)
  texts = [list(prompt) for prompt in PROMPTS]
  for drawn in generate(
    model, PROMPTS, 4, key=jax.random.key(0), temperature=0
  ):
    for text, token in zip(texts, drawn):
      text += [] if token == NONE else [int(token)]
  assert [len(text) for text in texts] == [7, 5, 9]
  # Behind a text anything may stand: the models read from left to right.
  padded = jnp.array([text + [0] * (LONGEST - len(text)) for text in texts])
  likeliest = np.argmax(nnx.jit(lambda m, x: m(x))(model, padded), -1)
  for text, prompt, row in zip(texts, PROMPTS, likeliest):
    begin = len(prompt) - 1
    assert text[begin + 1 :] == row[begin : len(text) - 1].tolist()
    assert len(set(text[begin + 1 :])) > 1


class Markov(nnx.Module):
  """What comes next depends on the last token, and on how many there are."""

  vocab = 11

  def __init__(self):
    self.table = nnx.Param(jax.random.normal(jax.random.key(0), (11, 11)))

  def __call__(self, tokens, mode, *, caches, last):
    caches = caches + tokens.shape[1]
    return 2 * self.table[...][tokens + caches[:, None] % 3], caches

  def empty_caches(self, batch, tokens):
    return jnp.zeros((batch,), jnp.int32)


def texts_of(prompts, length=6, **options):
  drawn = np.stack(list(generate(Markov(), prompts, length, **options)))
  assert drawn.dtype == np.int32
  return [row[row != NONE].tolist() for row in drawn.T]


def test_a_text_depends_on_its_prompt_and_key_alone():
  prompts = [[1, 2], [3, 4, 5, 6, 7], [3], [3]]
  keys = jax.random.split(jax.random.key(1), 4)
  texts = texts_of(prompts, key=keys)
  for n, text in enumerate(texts):
    assert texts_of(prompts[n : n + 1], key=keys[n : n + 1]) == [text]
  assert len(set(map(tuple, texts))) == 4
  # One key for all: each folds its number in.
  one = jax.random.key(2)
  folded = jnp.stack([jax.random.fold_in(one, n) for n in range(4)])
  assert texts_of(prompts, key=one) == texts_of(prompts, key=folded)


def test_a_text_ends_with_a_stop_token():
  prompts, key = [[1, 2], [3, 4, 5, 6, 7], [3]], jax.random.key(3)
  whole = texts_of(prompts, 20, key=key)
  stop = (whole[0][3], whole[1][5])
  want = []
  for text in whole:
    ends = [n for n, token in enumerate(text) if token in stop]
    want.append(text[: ends[0] + 1] if ends else text)
  assert texts_of(prompts, 20, key=key, stop=stop) == want
  assert len(want[0]) <= 4
  # Nothing is computed behind the last text's end.
  steps = list(
    generate(
      Markov(), prompts[:1], 20, key=jax.random.split(key, 1), stop=range(11)
    )
  )
  assert len(steps) == 1


def test_positions_can_be_filled(model):
  drawn = generate(model, [[1, 2]], 11, key=jax.random.key(0))
  assert len(list(drawn)) == 11


def test_a_key_is_a_text(model):
  def text(seed):
    drawn = generate(model, [[1, 2]], 8, key=jax.random.key(seed))
    return np.concatenate(list(drawn)).tolist()

  assert text(0) == text(0)
  assert text(0) != text(1)


def test_two_texts_are_one_program():
  """One trace reads the prompt, another every later token."""
  traced = []

  class Traced(Markov):
    def __call__(self, tokens, mode, **options):
      traced.append(tokens.shape)
      return super().__call__(tokens, mode, **options)

  model = Traced()
  for seed in (0, 1):
    list(generate(model, [[1, 2]], 3, key=jax.random.key(seed), top_k=7))
  assert traced == [(1, 2), (1, 1)]


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
    ({"prompt": []}, "got no text"),
    ({"prompt": [[1], []]}, r"got int64\[1\], float64\[0\]"),
    ({"prompt": [[1, 2**32 + 1]]}, r"must be 0 \.\. 10"),
    ({"prompt": [1, 2]}, r"`prompt` is int \[batch, tokens\]"),
    (
      {"key": jax.random.split(jax.random.key(0), 2)},
      r"one for each of 1 prom",
    ),
    ({"prompt": [[3, 11]]}, r"must be 0 \.\. 10, .*: got 3 \.\. 11"),
    ({"length": 0}, "`length` must be at least 1"),
    ({"prompt": [[1], [1] * 9], "length": 5}, r"9 \+ 5 tokens"),
    ({"length": 12}, r"2 \+ 12 tokens, .* has positions for 12"),
    ({"temperature": -1.0}, "`temperature` must be 0 or above"),
    ({"temperature": float("nan")}, "must be 0 or above, got nan"),
    ({"top_k": -1}, "`top_k` must be 0"),
    ({"top_p": 0.0}, r"`top_p` must be in \(0, 1\]"),
  ],
)
def test_bad_input(model, changes, message):
  given = {"prompt": [[1, 2]], "length": 3, "key": jax.random.key(0), **changes}
  with pytest.raises(ValueError, match=message):
    generate(model, **given)
