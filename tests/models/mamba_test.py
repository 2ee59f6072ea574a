"""Mamba: cache, depth, training, sizes as published, errors."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from flax import nnx

from bnnjax import config as config_lib
from bnnjax import models
from bnnjax.core.progress import Mode
from bnnjax.cost import count
from bnnjax.layers import intermediates
from bnnjax.models.mamba import VARIANTS, Mamba
from bnnjax.train import optim
from bnnjax.train.networks import Network
from tests.filled_models import filled

SMALL = {
  "vocab": 11, "features": 16, "blocks": 2, "state": 6, "head_size": 8,
  "chunk": 4,
}  # fmt: skip
TOKENS = jnp.array([[1, 2, 3, 4, 5, 6], [6, 7, 8, 9, 10, 1]])
GIB = 2**30


def abstract(**options):
  return models.abstract(lambda rngs: Mamba(**{**SMALL, **options}, rngs=rngs))


@pytest.fixture(scope="module")
def model():
  """A small one, with two groups of heads."""
  return filled(lambda rngs: Mamba(**SMALL, groups=2, rngs=rngs))


def test_token_by_token_equals_all_at_once(model):
  """The first tokens at once, then one at a time."""
  want = nnx.jit(lambda m: m(TOKENS))(model)
  caches, got = model.empty_caches(2, tokens=3), []
  shapes = jax.tree.map(jnp.shape, caches)
  step = nnx.jit(lambda m, tokens, caches: m(tokens, caches=caches))
  for start, stop in ((0, 4), (4, 5), (5, 6)):
    logits, caches = step(model, TOKENS[:, start:stop], caches)
    got.append(logits)
    assert jax.tree.map(jnp.shape, caches) == shapes
  np.testing.assert_allclose(np.concatenate(got, 1), want, atol=2e-5)


def test_mamba1_has_a_cache_for_every_layer():
  run = lambda m: m(TOKENS, caches=m.empty_caches(2))  # noqa: E731
  logits, caches = nnx.eval_shape(run, abstract(kind="mamba1"))
  assert logits.shape == (2, 6, 11)
  assert caches.ssm.shape == (2, 2, 32, 6)
  assert caches.conv.shape == (2, 2, 4, 32)


def test_program_does_not_grow_with_depth():
  def equations(blocks):
    graph, state = nnx.split(abstract(blocks=blocks))
    run = lambda state: nnx.merge(graph, state)(TOKENS)  # noqa: E731
    return str(jax.make_jaxpr(run)(state)).count(" = ")

  assert equations(1) == equations(3)


def test_training_lowers_the_loss(model):
  graph, params, rest = nnx.split(model, nnx.Param, ...)
  rule = optax.adam(1e-2)

  @jax.jit
  def step(params, opt):
    def loss(params):
      logits = nnx.merge(graph, params, rest)(TOKENS[:, :-1], Mode.training())
      return optax.softmax_cross_entropy_with_integer_labels(
        logits, TOKENS[:, 1:]
      ).mean()

    value, grads = jax.value_and_grad(loss)(params)
    updates, opt = rule.update(grads, opt)
    return optax.apply_updates(params, updates), opt, value

  opt, losses = rule.init(params), []
  for _ in range(40):
    params, opt, value = step(params, opt)
    losses.append(float(value))
  assert losses[-1] < 0.5 * losses[0]


def test_bfloat16_is_inside_the_blocks():
  model = abstract(dtype=jnp.bfloat16)
  left = lambda m: intermediates.call(m, TOKENS)[1]["hidden_states"]  # noqa: E731
  hidden = nnx.eval_shape(left, model)
  assert [h.shape for h in hidden] == 3 * [(2, 6, 16)]
  logits = nnx.eval_shape(lambda m: m(TOKENS), model)
  assert {x.dtype for x in (*hidden, logits)} == {jnp.dtype("float32")}
  stored = {x.dtype for x in jax.tree.leaves(nnx.state(model, nnx.Param))}
  assert stored == {jnp.dtype("float32")}


@pytest.mark.parametrize("kind", ["mamba2", "mamba1"])
def test_only_matrices_decay(kind):
  """A stacked vector is no matrix; nor is `A_log`, whatever its shape."""
  network = Network.of(lambda rngs: Mamba(**SMALL, kind=kind, rngs=rngs))
  kinds = nnx.traversals.flatten_mapping(network.kinds, sep=".")
  mixer = "blocks.layer.mixer"
  decayed = {path for path, label in kinds.items() if label == "float"}
  assert decayed >= {"embedding", f"{mixer}.conv.kernel", "norm.scale"}
  undecayed = {path for path, label in kinds.items() if label == "undecayed"}
  norm = {f"{mixer}.norm.scale"} if kind == "mamba2" else set()
  assert undecayed == norm | {
    f"{mixer}.A_log", f"{mixer}.D", f"{mixer}.dt_bias", f"{mixer}.conv.bias",
    "blocks.layer.norm.scale",
  }  # fmt: skip
  latent = {path for path, label in kinds.items() if label == "latent"}
  assert latent == {f"{mixer}.{n}_proj.kernel" for n in ("in", "out")}
  settings = config_lib.base().optim.to_dict()
  settings |= {"name": "adamw", "weight_decay": 0.1, "lr": 1.0, "warmup": 0}
  settings |= {"schedule": "constant", "latent": {"lr": 0.5}}
  rule = optim.make_optimizer(settings, 10, network.kinds)
  shapes = nnx.to_pure_dict(nnx.state(network.abstract, nnx.Param))
  ones, zeros = (
    jax.tree.map(lambda x, v=v: np.full(x.shape, v, np.float32), shapes)
    for v in (1, 0)
  )
  decay = jax.jit(lambda p, g: rule.update(g, rule.init(p), p)[0])
  updates = decay(ones, zeros)
  flat = nnx.traversals.flatten_mapping(updates, sep=".")
  moved = {path for path, update in flat.items() if np.any(update)}
  assert moved == (decayed | latent) - {"norm.scale"}


def parameters(features, blocks, vocab):
  """The card's formula: state 128, one group, heads of 64, four taps."""
  inside, shared, heads = 2 * features, 2 * 128, 2 * features // 64
  projections = features * (2 * inside + shared + heads) + inside * features
  vectors = 5 * (inside + shared) + 3 * heads + inside + features
  return blocks * (projections + vectors) + vocab * features + features


# Published: 5.03 GB -> 0.55 GB for 2.7B, more than 80% saved at every size.
@pytest.mark.parametrize(
  ("variant", "millions", "float_gib", "low_gib"),
  [
    ("780M", 780.2, 1.453, 0.228),
    ("1.3B", 1343.8, 2.503, 0.340),
    ("2.7B", 2702.6, 5.034, 0.545),
  ],
)
def test_published_sizes(variant, millions, float_gib, low_gib):
  tokens = jax.ShapeDtypeStruct((1, 256), jnp.int32)
  build = lambda rngs, weight: Mamba(  # noqa: E731
    50_288, variant=variant, weight=weight, rngs=rngs
  )
  float_, low = (
    count(models.abstract(lambda rngs: build(rngs, weight)), tokens)  # noqa: B023
    for weight in (None, "fbi_llm")
  )
  assert float_.parameter_count == parameters(*VARIANTS[variant], 50_288)
  assert round(float_.parameter_count / 1e6, 1) == millions
  assert round(float_.weight_bytes("half") / GIB, 3) == float_gib
  assert round(low.weight_bytes("half") / GIB, 3) == low_gib
  assert not low.warnings
  features, blocks = VARIANTS[variant]
  heads = 2 * features // 64
  one = features * (4 * features + 256 + heads) + 2 * features * features
  assert low.macs[1, 32] == 256 * blocks * one


@pytest.mark.parametrize(
  ("options", "message"),
  [
    ({"variant": "370M"}, "Unknown Mamba variant '370M'"),
    ({"kind": "mamba3"}, "Unknown Mamba kind 'mamba3'.*mamba2"),
    ({"head_size": 5}, "`head_size` must divide .* got 5 for 32"),
    ({"remat": "all"}, "Unknown remat 'all'"),
  ],
)
def test_sizes_that_do_not_fit(options, message, rngs):
  with pytest.raises(ValueError, match=message):
    Mamba(**{**SMALL, **options}, rngs=rngs)


def test_inputs_that_do_not_fit():
  model = abstract()
  run = lambda tokens, batch: nnx.eval_shape(  # noqa: E731
    lambda m: m(tokens, caches=m.empty_caches(batch)), model
  )
  with pytest.raises(ValueError, match="at least one token"):
    run(TOKENS[:, :0], 2)
  with pytest.raises(ValueError, match=r"\(2, 4, 44\), got \(3, 4, 44\)"):
    run(TOKENS, 3)


def test_is_built_by_name():
  build = lambda rngs: models.build(  # noqa: E731
    {"name": "mamba", **SMALL, "vocab": 7}, rngs=rngs, max_len=5
  )
  assert models.abstract(build).embedding.shape == (7, 16)


def test_hidden_states_are_those_of_every_model():
  """The embedding output first, then every block: a decoder's can be matched."""
  model = Mamba(11, features=16, blocks=2, head_size=16, rngs=nnx.Rngs(0))
  tokens = jnp.array([[1, 2, 3]])
  _, left = intermediates.call(model, tokens)
  states = left["hidden_states"]
  assert len(states) == 3
  np.testing.assert_array_equal(states[0], model.embedding[...][tokens])
  np.testing.assert_allclose(
    model.blocks(states[0]), states[2], rtol=1e-5, atol=1e-6
  )
