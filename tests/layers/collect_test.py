"""Collectors see what plain recorders see, under a scan and without one."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

import bnnjax as bx
from bnnjax import models
from bnnjax.core.progress import DEPLOYED, Mode, Progress
from bnnjax.layers import geometry
from bnnjax.layers.attention import Attention
from bnnjax.layers.collect import collect, empty, learning
from bnnjax.layers.conv import Conv
from bnnjax.layers.linear import Linear
from bnnjax.layers.stack import Stack
from bnnjax.layers.variables import LatentWeight
from bnnjax.models.decoder import DecoderBlock, Plan
from tests.filled_models import filled

LINEAR = (
  "attention.query", "attention.key", "attention.value", "attention.out",
  "gate", "up", "down",
)  # fmt: skip
RULES = {r".*\.low_\w+": None, r".*": "gram"}
RNG = np.random.default_rng(0)


def normal(*shape):
  return jnp.asarray(RNG.normal(size=shape), jnp.float32)


class Blocks(nnx.Module):
  """The blocks of a decoder, one after the other."""

  def __init__(self, build, blocks, rngs):
    self.blocks = nnx.List(build(rngs) for _ in range(blocks))

  def __call__(self, x, mode=DEPLOYED):
    for block in self.blocks:
      x = block(x, mode)
    return x


class Recorder(nnx.Module):
  """A layer that keeps the sum of X^T X of its inputs, in float64."""

  def __init__(self, layer):
    self.layer, self.rows = layer, nnx.static([])

  def __call__(self, x, mode):
    self.rows.append(np.asarray(x, np.float64).reshape(-1, x.shape[-1]))
    return self.layer(x, mode)


class Case:
  """A decoder of `blocks` blocks, scanned or not."""

  def __init__(self, scanned, blocks, features, tokens):
    plan = Plan(features, blocks, 2, features * 43 // 16)

    def build(rngs):
      low = {"weight": None, "act": None, "dtype": None}
      return DecoderBlock(plan, 2, None, rngs=rngs, **low)

    if scanned:
      self.model = filled(lambda rngs: Stack(build, blocks, rngs=rngs))
    else:
      self.model = filled(lambda rngs: Blocks(build, blocks, rngs))
    self.build, self.scanned, self.blocks = build, scanned, blocks
    self.batches = normal(2, 1, tokens, features)

  def block(self, number):
    if not self.scanned:
      return self.model.blocks[number]
    graph, state = nnx.split(self.model.layer)
    return nnx.merge(graph, jax.tree.map(lambda x: x[number], state))

  def of(self, states, number, name):
    """The state of one layer."""
    if not self.scanned:
      return states[f"blocks.{number}.{name}"]
    return jax.tree.map(lambda s: s[number], states[f"layer.{name}"])

  def compiled(self):
    """A pass, compiled: `(variables, states, x) -> states`."""
    graph, variables = nnx.split(self.model)

    def step(variables, states, x):
      return collect(nnx.merge(graph, variables), RULES, x, states=states)[1]

    states = empty(self.model, RULES, self.batches[0])
    step = jax.jit(step, donate_argnums=1)
    return step.lower(variables, states, self.batches[0]).compile(), states

  def activations(self):
    """Bytes that training stores of one block, its weights apart."""
    graph, variables = nnx.split(models.abstract(self.build))
    run = lambda v, x: nnx.merge(graph, v)(x)  # noqa: E731
    stored = jax.eval_shape(
      lambda v, x: jax.vjp(run, v, x)[1], variables, self.batches[0]
    )
    return size(stored) - size(variables)


def size(tree):
  return sum(x.size * x.dtype.itemsize for x in jax.tree.leaves(tree))


@pytest.mark.parametrize(
  ("blocks", "features", "tokens"),
  [(2, 16, 32), pytest.param(30, 256, 128, marks=pytest.mark.slow)],
)
@pytest.mark.parametrize("scanned", [False, True])
def test_every_linear_layer_of_a_decoder(scanned, blocks, features, tokens):
  """X^T X as recorded; two passes in the memory of one, and the states."""
  case = Case(scanned, blocks, features, tokens)
  run, states = case.compiled()
  assert len(states) == 7 * (1 if scanned else blocks)
  memory = run.memory_analysis()
  assert memory.alias_size_in_bytes == size(states)
  assert memory.temp_size_in_bytes <= 2 * case.activations()
  variables = nnx.state(case.model)
  for x in case.batches:
    states = run(variables, states, x)
  xs = list(case.batches)
  for number in range(blocks):
    block, recorders = case.block(number), {}
    for name in LINEAR:
      *outer, last = name.split(".")
      parent = getattr(block, outer[0]) if outer else block
      recorders[name] = Recorder(getattr(parent, last))
      setattr(parent, last, recorders[name])
    block.attention.query.out_features = features
    xs = [block(x, DEPLOYED) for x in xs]
    for name, recorder in recorders.items():
      rows = np.concatenate(recorder.rows)
      got, want = case.of(states, number, name), rows.T @ rows
      assert got["count"] == len(rows) == 2 * tokens
      error = np.abs(got["gram"] - want).max()
      assert error < 1e-4 * np.abs(want).max(), (number, name)


def layer(**options):
  return filled(lambda rngs: Linear(4, 4, **options, rngs=rngs))


class Twice(nnx.Module):
  """One layer, called twice, and one that is not."""

  def __init__(self, rngs):
    low = {"act": "symmetric(bits=8)|ema_bound"}
    self.linear = Linear(4, 4, **low, rngs=rngs)
    self.idle = Linear(4, 4, rngs=rngs)

  def __call__(self, x, mode=DEPLOYED, *, cache=None):
    return self.linear(jnp.sin(self.linear(x, mode)), mode)


TRAINING = Mode.training(Progress.at(1, 10, 1.0))
X = normal(3, 5, 4)


def test_a_layer_that_is_called_twice_shows_both_inputs():
  model = filled(Twice)
  y, states = bx.collect(model, {"linear": "gram"}, X)
  np.testing.assert_array_equal(y, model(X))
  inner = jnp.sin(model.linear(X)).reshape(-1, 4)
  rows = np.concatenate([X.reshape(-1, 4), inner])
  np.testing.assert_allclose(states["linear"]["gram"], rows.T @ rows, rtol=1e-4)
  assert states["linear"]["count"] == 30


def test_the_model_stays_as_it_was():
  model = filled(Twice)
  before = jax.tree.map(np.asarray, nnx.state(model))

  def fails(model, x):
    model(x, TRAINING)
    raise KeyError("on the way")

  collect(model, {"linear": "absmax"}, X, TRAINING)
  with pytest.raises(KeyError, match="on the way"):
    collect(model, {"linear": "absmax"}, X, call=fails)
  after = jax.tree.map(np.asarray, nnx.state(model))
  assert jax.tree.structure(after) == jax.tree.structure(before)
  jax.tree.map(np.testing.assert_array_equal, after, before)
  assert model.linear.collected is None


def test_beside_a_gradient():
  """Of a stack whose layers are computed again in the backward pass."""
  stack = filled(lambda rngs: Stack(Twice, 3, remat="block", rngs=rngs))
  rules = {"layer.linear": "moments"}

  @jax.jit
  def run(x):
    def loss(x):
      y, states = collect(stack, rules, x, DEPLOYED)
      return jnp.sum(y**2), states

    return jax.grad(loss, has_aux=True)(x)

  gradient, states = run(X)
  want = jax.jit(jax.grad(lambda x: jnp.sum(stack(x, DEPLOYED) ** 2)))(X)
  np.testing.assert_allclose(gradient, want, rtol=1e-5, atol=1e-6)
  x, (graph, state) = X, nnx.split(stack.layer)
  for number in range(3):
    one = nnx.merge(graph, jax.tree.map(lambda v, n=number: v[n], state))
    x, seen = collect(one, {"linear": "moments"}, x, DEPLOYED)
    for name, value in seen["linear"].items():
      got = states["layer.linear"][name][number]
      np.testing.assert_allclose(got, value, rtol=1e-4, atol=1e-5)


def test_the_gram_of_a_convolution_is_that_of_its_patches():
  conv = filled(
    lambda rngs: Conv(
      3, 5, (3, 2), strides=(2, 1), dilation=(1, 2), use_bias=False, rngs=rngs
    )
  )
  x = normal(2, 7, 6, 3)
  y, states = collect(conv, {"": "gram"}, x)
  shape = geometry.Geometry(
    conv.window, conv.strides, conv.padding, conv.dilation
  )
  rows = geometry.patches(x, shape)
  np.testing.assert_allclose(
    rows @ conv.kernel[...].reshape(-1, 5), y, rtol=1e-4, atol=1e-5
  )
  rows = rows.reshape(-1, rows.shape[-1])
  assert rows.shape == (y.size // 5, 18)
  np.testing.assert_allclose(
    states[""]["gram"], rows.T @ rows, rtol=1e-4, atol=1e-5
  )
  # Ranges are those of the map.
  _, states = collect(conv, {"": "extremes"}, x)
  np.testing.assert_array_equal(states[""]["max"], x.max((0, 1, 2)))


def abstract(build, *args, rules=None, **kwargs):
  """The shapes of what would be collected; nothing is computed."""
  graph, variables = nnx.split(models.abstract(build))

  def run(variables):
    model = nnx.merge(graph, variables)
    return empty(model, rules or {".*": "absmax"}, *args, **kwargs)

  states = jax.eval_shape(run, variables)
  return {path: state["absmax"].shape for path, state in states.items()}


@pytest.mark.parametrize("low", [None, "ste"])
def test_attention_shows_the_operands_of_its_products(low):
  options = dict.fromkeys(("query", "key", "value", "probs"), low)
  got = abstract(
    lambda rngs: Attention(8, 2, **options, rngs=rngs), normal(1, 5, 8)
  )
  heads = {f"low_{name}": (4,) for name in ("query", "key", "value")}
  linear = dict.fromkeys(("query", "key", "value", "out"), (8,))
  assert got == {**linear, **heads, "low_probs": (5,)}


@pytest.mark.parametrize("kind", ["mamba1", "mamba2"])
def test_a_mamba_shows_projections_convolution_and_words(kind):
  size = {"features": 8, "blocks": 3, "state": 4, "kind": kind}
  size |= {"head_size": 4} if kind == "mamba2" else {}
  config = {"name": "mamba", "vocab": 11, **size}
  got = abstract(
    lambda rngs: models.build(config, rngs=rngs), jnp.zeros((1, 6), int)
  )
  inner = {"mamba1": {"x_proj": 16, "dt_proj": 1}, "mamba2": {}}[kind]
  mixed = 16 if kind == "mamba1" else 24
  inner |= {"in_proj": 8, "out_proj": 16, "conv": mixed}
  assert got == {
    "words": (8,),
    **{f"blocks.layer.mixer.{k}": (3, n) for k, n in inner.items()},
  }


def test_a_bert_shows_what_scores_words():
  sizes = {"features": 8, "blocks": 1, "vocab": 11, "max_len": 6}
  config = {"name": "bert", "transform": True, **sizes}
  got = abstract(
    lambda rngs: models.build(config, rngs=rngs),
    jnp.ones((1, 6), int),
    rules={"words|transform.*": "absmax"},
    call=lambda model, tokens: model.token_logits(tokens),
  )
  assert got == {"transform.dense": (8,), "words": (8,)}


@pytest.mark.parametrize(
  ("rules", "message"),
  [
    (
      {"linaer": "gram"},
      "chooses no input.*Did you mean 'linear'.*Paths: 'idle'",
    ),
    ({"linear": "gram", "lin.*": "gram"}, "'lin.*' .*earlier rules do"),
    ({".*": "gram"}, "does not reach 'idle'.*{'idle': None, ...}"),
    ({"(": "gram"}, r"a regular expression, got '\('"),
    ({3: "gram"}, "a regular expression, got 3"),
  ],
)
def test_rules_that_choose_nothing(rules, message):
  with pytest.raises(ValueError, match=message):
    abstract(Twice, X, rules=rules)


def test_rules_are_a_mapping():
  with pytest.raises(TypeError, match="map regular expressions.*got 'gram'"):
    bx.collect(filled(Twice), "gram", X)


def test_states_of_other_paths():
  model = filled(Twice)
  with pytest.raises(ValueError, match="'linear' is not among them"):
    collect(model, {"linear": "gram"}, X, states={})
  with pytest.raises(ValueError, match="'idle' is among them"):
    collect(model, {"linear": "gram"}, X, states={"linear": 0, "idle": 0})


@pytest.mark.parametrize(
  ("options", "why"),
  [
    ({"groups": 2}, "2 groups have a kernel each"),
    ({"pad_value": 1, "act": "ste"}, "pads with 1"),
  ],
)
def test_convolutions_without_rows(options, why):
  build = lambda rngs: Conv(4, 4, (3,), **options, rngs=rngs)  # noqa: E731
  with pytest.raises(ValueError, match=f"'gram' collects .*has none: .*{why}"):
    abstract(build, X, rules={".*": "gram"})


class Stepped(nnx.Module):
  """A layer with learned steps: parameters that an event sets."""

  def __init__(self, rngs):
    low = {"weight": "elastic|learned_step", "act": "elastic|learned_step"}
    self.linear = Linear(4, 4, **low, rngs=rngs)

  def __call__(self, x, mode=DEPLOYED, *, cache=None):
    return x + self.linear(x, mode)


def test_an_event_reaches_the_parameters_of_a_stack():
  """Each layer learns from what the layers before it have learned."""
  stack = filled(lambda rngs: Stack(Stepped, 3, rngs=rngs))
  graph, state = nnx.split(stack.layer)
  progress, x, want = Progress.at(1, 10, 1.0), X, []
  for number in range(3):
    one = nnx.merge(graph, jax.tree.map(lambda v, n=number: v[n], state))
    with learning(one, "init_steps", progress) as mode:
      x = one(x, mode)
    want.append(nnx.state(one, nnx.Not(LatentWeight)))
  with learning(stack, "init_steps", progress) as mode:
    y = stack(X, mode)
  np.testing.assert_allclose(y, x, rtol=1e-5)
  got = nnx.state(stack.layer, nnx.Not(LatentWeight))
  want = jax.tree.map(lambda *v: jnp.stack(v), *want)
  jax.tree.map(
    lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-5), got, want
  )
  assert stack.layer.linear.act.params["step"][...].shape == (3, 1, 1)
  assert stack.layer.linear.act.collected is None


def test_learning_asks_for_its_mode():
  one = filled(Stepped)
  with (
    pytest.raises(ValueError, match="give the mode that `learning` yields"),
    learning(one, "init_steps"),
  ):
    one(X, DEPLOYED)
  assert one.linear.act.collected is None
