"""The home of a low-bit weight: bytes and MACs by hand, gradients, layers."""

import dataclasses
from fractions import Fraction

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

import bnnjax as bx
from bnnjax import config as config_lib
from bnnjax.core import registry
from bnnjax.layers.stack import Stack
from bnnjax.train import runs
from bnnjax.train.evaluate import evaluate
from bnnjax.train.loop import train

K, O = 64, 40
W = jax.random.normal(jax.random.key(0), (K, O))
SIGNS = jnp.where(W >= 0, 1.0, -1.0)
ONE, PLANE = bx.BitTag(1, (-1, 1)), bx.BitTag(1, (0, 1))
ROW, COLUMN = jnp.full((K, 1), 0.5), jnp.full((1, O), 2.0)
GROUPS = jnp.ones((K // 16, O))
RANK = np.argsort(np.argsort(np.abs(W).ravel())).reshape(K, O)
LOW = RANK < K * O * 9 // 10
X = jax.random.normal(jax.random.key(1), (3, K))


def term(values=SIGNS, kind=ONE, **fields):
  return bx.WeightTerm(values, kind=kind, **fields)


def layer(*terms, act=None, **fields):
  weight = bx.QuantizedWeight(*terms, **fields)
  return bx.Linear(
    K, O, weight=weight, act=act, use_bias=False, rngs=nnx.Rngs(0)
  )


N = K * O
# What each costs, by hand: layer, MACs, bits of the values (and masks), and
# numbers of 32 bits beside them.
COSTS = {
  "xnor": (
    lambda: bx.Linear(
      K, O, weight="ste|channel_l1", use_bias=False, rngs=nnx.Rngs(0)
    ),
    {"w1a32": N},
    N,
    O,
  ),
  "xnor_of_low_bit_values": (
    lambda: layer(term(scale=COLUMN)),
    {"w1a32": N},
    N,
    O,
  ),
  "two_bases": (
    lambda: layer(term(scale=COLUMN), term(-SIGNS, scale=COLUMN), act="ste"),
    {"w1a1": 2 * N},
    2 * N,
    2 * O,
  ),
  "masked_1_and_8": (
    lambda: layer(
      bx.WeightTerm(W, "ste|channel_l1", mask=LOW),
      bx.WeightTerm(W, "symmetric(bits=8)|channel_max", mask=~LOW),
    ),
    {"w1a32": N * 9 // 10, "w8a32": N // 10},
    Fraction(27, 10) * N,
    2 * O,
  ),
  "masked_float_outliers": (
    lambda: layer(
      bx.WeightTerm(W, "ste|channel_l1", mask=LOW),
      bx.WeightTerm(W, "float", mask=~LOW),
    ),
    {"w1a32": N * 9 // 10, "w32a32": N // 10},
    Fraction(9 + 32 + 10, 10) * N,
    O,
  ),
  "rows_at_4_bits": (
    lambda: layer(
      term(mask=np.arange(K)[:, None] % 4 > 0),
      term(
        jnp.round(W),
        bx.BitTag(4),
        mask=np.arange(K)[:, None] % 4 == 0,
      ),
    ),
    {"w1a32": N * 3 // 4, "w4a32": N // 4},
    (Fraction(3, 4) + 1) * N + K,  # the mask has a bit a row
    0,
  ),
  "groups": (
    lambda: layer(
      term(kind=bx.BitTag(1, (-1, 1), group=16), scale=GROUPS),
      act="symmetric(bits=8)|token_max",
    ),
    {"w1a8": N},
    N,
    O * K // 16,
  ),
  "shift": (
    lambda: layer(term(scale=COLUMN), shift=jnp.ones((1, O)), act="ste"),
    # The shift is added to the sum of the activations, computed once.
    {"w1a1": N, "w32a1": K},
    N,
    2 * O,
  ),
  "rank_1": (
    lambda: layer(term(scale=(ROW, COLUMN))),
    {"w1a32": N},
    N,
    K + O,
  ),
  "rank_1_before_8_bits": (
    lambda: layer(term(scale=(ROW, COLUMN)), act="symmetric(bits=8)|token_max"),
    {"w1a32": N},
    N,
    K + O,
  ),
  "planes": (
    lambda: layer(
      term((SIGNS + 1) / 2, PLANE, scale=COLUMN),
      term((1 - SIGNS) / 2, PLANE, scale=COLUMN),
    ),
    {"w1a32": 2 * N},
    2 * N,
    2 * O,
  ),
  "packed_words": (
    lambda: layer(term(scale=COLUMN, pack=True)),
    {"w1a32": N},
    N,
    O,
  ),
}


@pytest.mark.parametrize("name", COSTS)
def test_macs_and_bytes_by_hand(name):
  build, macs, bits, floats = COSTS[name]
  made = build()
  report = bx.count(made, jax.ShapeDtypeStruct((1, K), jnp.float32))
  assert {k: n for k, n in report.macs_by_name.items() if n} == macs
  assert report.weight_bits("packed") == bits
  rows = {p.path: p for p in report.parameters}
  assert all(p.dtype_bits <= 32 for p in rows.values())
  # Rows of a kernel are padded to words of 32 bits; K is a multiple of it, and
  # a sparse row of 64 elements is not.
  padding = report.weight_bits("packed_rows") - bits
  assert 0 <= padding < 32 * O * 2
  assert report.weight_bits("deployed") == bits + padding + 32 * floats
  assert report.bits_per_weight == report.weight_bits("deployed") / N
  assert not report.warnings or "rank_1_before" in name


def dense(weight):
  return weight().dequantize()


@pytest.mark.parametrize("name", COSTS)
def test_values_are_those_of_the_dense_weight(name):
  made = COSTS[name][0]()
  if made.kernel is not None:
    return
  act = made.act(X)
  act = act if isinstance(act, jax.Array) else act.dequantize()
  want = act @ dense(made.weight)
  np.testing.assert_allclose(made(X), want, rtol=1e-4, atol=1e-4)
  got = bx.deployed_weight(made)
  np.testing.assert_allclose(got.dequantize(), dense(made.weight), rtol=1e-6)
  again = bx.Linear(K, O, weight=got, use_bias=False, rngs=nnx.Rngs(0))
  again.act = made.act
  np.testing.assert_allclose(again(X), made(X), rtol=1e-4, atol=1e-4)
  assert not nnx.to_flat_state(nnx.state(again.weight, nnx.Param))


def test_a_float_term_keeps_its_scale():
  q = bx.Quantized((bx.Term(W, (ROW, COLUMN)),))
  weight = bx.QuantizedWeight.of(q)
  np.testing.assert_allclose(dense(weight), W * ROW * COLUMN, rtol=1e-6)


def test_gradients_of_latents_factors_and_shift():
  """Against plain arithmetic: sign with a straight-through window of 1."""
  low = jnp.asarray(LOW, jnp.float32)
  weight = bx.QuantizedWeight(
    bx.WeightTerm(W, "ste|learned", mask=LOW, scale=COLUMN),
    term(scale=(ROW, COLUMN), learned=True),
    shift=COLUMN,
    learned=True,
  )
  made = bx.Linear(K, O, weight=weight, use_bias=False, rngs=nnx.Rngs(0))
  graph, params, rest = nnx.split(made, nnx.Param, ...)
  dy = jax.random.normal(jax.random.key(2), (3, O))

  @jax.jit
  def grads(params):
    def loss(params):
      y = nnx.merge(graph, params, rest)(X, bx.Mode.training())
      return jnp.sum(y * dy)

    return jax.grad(loss)(params)

  got = nnx.to_pure_dict(grads(params))["weight"]
  dw = X.T @ dy
  window = (jnp.abs(W) <= 1) * low
  want = {
    "latent": dw * window * COLUMN,
    "scale": jnp.sum(dw * SIGNS * low, 0, keepdims=True),
    "row": jnp.sum(dw * SIGNS * COLUMN, 1, keepdims=True),
    "column": jnp.sum(dw * SIGNS * ROW, 0, keepdims=True),
    "shift": jnp.sum(dw, 0, keepdims=True),
  }
  found = {
    "latent": got["values"][0],
    "scale": got["binarizers"][0]["params"]["scale"],
    "row": got["factors"][0],
    "column": got["factors"][1],
    "shift": got["shift"],
  }
  for name, value in want.items():
    np.testing.assert_allclose(found[name], value, rtol=1e-4, atol=1e-4)


def cost(*terms, before=K, after=O, bias=False):
  made = bx.Linear(
    before,
    after,
    weight=bx.QuantizedWeight(*terms),
    use_bias=bias,
    rngs=nnx.Rngs(0),
  )
  return bx.count(made, jax.ShapeDtypeStruct((1, before), jnp.float32))


@pytest.mark.parametrize("before", [8, 20, 40])
def test_packed_words_of_any_length(before):
  signs = SIGNS[:before]
  report = cost(term(signs, pack=True), before=before)
  assert report.weight_bits("packed") == before * O
  words = 32 * -(-before // 32) * O
  assert report.weight_bits("deployed") == words
  assert report.bits_per_weight == words / (before * O)
  masked = {"mask": np.arange(before)[:, None] % 2 == 0}
  report = cost(term(signs, pack=True, **masked), before=before)
  assert report.weight_bits("packed") == before * O // 2 + before


def test_parts_of_one_sign_array_are_stored_each():
  even = np.arange(K)[:, None] % 2 == 0
  spec = "ste|channel_l1"
  report = cost(
    bx.WeightTerm(W, spec, mask=even), bx.WeightTerm(W, spec, mask=~even)
  )
  assert report.weight_bits("packed") == N + K
  assert report.weight_bits("deployed") == N + K + 2 * 32 * O
  report = cost(bx.WeightTerm(W, spec), bias=True)
  assert report.weight_bits("fracbnn") == N + 8 * O  # the bias is one
  half = bx.BitTag(1, (-1, 1), density=0.5)
  assert cost(term(kind=half)).macs == {(1, 32): N // 2}


def test_shifts_and_constants_of_masked_terms():
  """`mask (s sign(w) + shift)`, and a learned scale of the term's elements."""
  low = np.asarray(LOW, np.float32)
  weight = bx.QuantizedWeight(bx.WeightTerm(W, "ste|affine", mask=LOW))
  weight.binarizers[0].params["shift"][...] = jnp.full((K, 1), 0.7)
  scale = weight.binarizers[0].params["scale"][...]
  want = (SIGNS * scale + 0.7) * low
  np.testing.assert_allclose(dense(weight), want, rtol=1e-5, atol=1e-6)
  learned = bx.QuantizedWeight(bx.WeightTerm(W, "ste|learned", mask=LOW))
  start = np.sum(np.abs(W) * low, 0) / np.sum(low, 0)
  got = learned.binarizers[0].params["scale"][...]
  np.testing.assert_allclose(got[0], start, rtol=1e-5)
  constant = bx.WeightTerm(W, "ste|fixed(value=0.5)", mask=LOW)
  got = dense(bx.QuantizedWeight(constant))
  np.testing.assert_array_equal(got, 0.5 * SIGNS * low)


def test_what_is_shared_is_stored_once():
  weight = bx.QuantizedWeight(
    bx.WeightTerm(W, "ste", mask=LOW),
    bx.WeightTerm(W, "symmetric(bits=8)|channel_max", mask=~LOW),
    term(mask=LOW, pack=True),
    term(-SIGNS, mask=1 - LOW.astype(np.float32)),
  )
  shapes = {
    ".".join(map(str, path)): (type(v).__name__, v.dtype.name, v.shape)
    for path, v in nnx.to_flat_state(nnx.state(weight))
  }
  assert shapes == {
    "masks.0": ("TermMask", "bool", (K, O)),
    "values.0": ("LatentWeight", "float32", (K, O)),
    "values.1": ("TermValue", "uint32", (K // 32, O)),
    "values.2": ("TermValue", "int8", (K, O)),
  }
  want = weight().dequantize()
  low = np.where(LOW, SIGNS, 0) * 2
  np.testing.assert_array_equal(np.where(LOW, want, 0), low)


@pytest.mark.parametrize(
  ("build", "error", "message"),
  [
    (lambda: bx.QuantizedWeight(), TypeError, "made of `WeightTerm`s"),
    (
      lambda: bx.QuantizedWeight(term(), term(SIGNS[1:])),
      ValueError,
      r"Term 1 .*\(63, 40\), the first term \(64, 40\)",
    ),
    (lambda: layer(term(kind=None)), ValueError, "neither a `binarizer`"),
    (lambda: layer(term(SIGNS * 0.5)), ValueError, r"value -0\.5"),
    (lambda: layer(term(SIGNS * 0, pack=True)), ValueError, "value 0"),
    (lambda: layer(term(kind=PLANE, pack=True)), ValueError, "value -1"),
    (lambda: layer(term(scale=ROW.T)), ValueError, "Factor 0 of Term 0"),
    (
      lambda: layer(bx.WeightTerm(W, "ste|channel_l1", scale=COLUMN)),
      ValueError,
      r"scale of this term is 'channel_l1'.*learned",
    ),
    (
      lambda: layer(bx.WeightTerm(W, "ste", mask=LOW & False)),
      ValueError,
      "keeps no element",
    ),
    (
      lambda: layer(bx.WeightTerm(W, "ste", mask=LOW, density=0.5)),
      ValueError,
      r"keeps 0\.9 .*density 0\.5",
    ),
    (
      lambda: jax.jit(
        lambda mask: bx.QuantizedWeight(bx.WeightTerm(W, "ste", mask=mask))()
      )(LOW),
      ValueError,
      "give `density=`",
    ),
    (
      lambda: layer(bx.WeightTerm(W, "ste", mask=0.5 * LOW)),
      ValueError,
      "0 and 1 only",
    ),
    (
      lambda: layer(bx.WeightTerm(W, "ste", learned=True)),
      ValueError,
      "`learned` of Term 0.*leave it out",
    ),
    (
      lambda: layer(bx.WeightTerm(W, "ste", complement=True)),
      ValueError,
      "`complement` of Term 0",
    ),
    (
      lambda: layer(bx.WeightTerm(W, "ste"), bx.WeightTerm(W, "bop")),
      ValueError,
      "the same kind of variable",
    ),
    (
      lambda: layer(bx.WeightTerm(W, "xnor_net_pp")),
      ValueError,
      "'xnor_net_pp' brings .*'output'.*to the layer",
    ),
    (lambda: bx.Linear(K, O, prepare=3, rngs=nnx.Rngs(0)), TypeError, "got 3"),
    (
      lambda: bx.Linear(K, O, prepare=lambda x, m: x, rngs=nnx.Rngs(0))(X),
      TypeError,
      "must return the input and a factor",
    ),
    (
      lambda: bx.Linear(
        K, O + 1, weight=bx.Quantized((bx.Term(W),)), rngs=nnx.Rngs(0)
      ),
      ValueError,
      r"must have shape \(64, 41\), got a Quantized of \(64, 40\)",
    ),
    (
      lambda: bx.Linear(
        K, O, weight=nnx.Linear(3, 3, rngs=nnx.Rngs(0)), rngs=nnx.Rngs(0)
      ),
      TypeError,
      "must return a Quantized",
    ),
  ],
)
def test_errors(build, error, message):
  with pytest.raises(error, match=message):
    build()


def test_a_convolution_takes_terms():
  kernel = jax.random.normal(jax.random.key(3), (3, 3, 4, 5))
  signs = jnp.where(kernel >= 0, 1.0, -1.0)
  factor = jnp.full((1, 1, 1, 5), 0.5)
  conv = bx.Conv(
    4,
    5,
    (3, 3),
    weight=bx.Quantized((bx.Term(signs, factor, None, ONE),)),
    act="ste",
    rngs=nnx.Rngs(0),
  )
  like = bx.Conv(4, 5, (3, 3), act="ste", rngs=nnx.Rngs(0))
  like.kernel[...] = 0.5 * signs
  x = jax.random.normal(jax.random.key(4), (2, 6, 6, 4))
  np.testing.assert_allclose(conv(x), like(x), rtol=1e-5, atol=1e-5)


def test_a_stack_scans_over_terms():
  """Each layer has its own; values, gradients and bytes of the unrolled."""

  class Layer(nnx.Module):
    def __init__(self, rngs):
      w = jax.random.normal(rngs.params(), (32, 32))
      low = jnp.abs(w) < jnp.median(jnp.abs(w))
      parts = ({}, {"complement": True})
      specs = ("ste|channel_l1", "symmetric(bits=4)|channel_max")
      terms = (
        bx.WeightTerm(w, spec, mask=low, density=0.5, **part)
        for spec, part in zip(specs, parts)
      )
      weight = bx.QuantizedWeight(*terms)
      self.linear = bx.Linear(32, 32, weight=weight, rngs=rngs)

    def __call__(self, x, mode=None, *, cache=None):
      return x + self.linear(x, mode)

  stack = Stack(Layer, 3, rngs=nnx.Rngs(0))
  x = jax.random.normal(jax.random.key(8), (2, 32))
  keys = jax.random.split(nnx.Rngs(0).params(), 3)
  layers = nnx.List([Layer(nnx.Rngs(key)) for key in keys])

  def unrolled(layers, x):
    for layer in layers:
      x = layer(x)
    return x

  np.testing.assert_allclose(stack(x), unrolled(layers, x), rtol=1e-4)
  weights = bx.deployed_weight(stack.layer.linear).dequantize()
  for got, layer in zip(weights, layers):
    want = bx.deployed_weight(layer.linear).dequantize()
    np.testing.assert_allclose(got, want, rtol=1e-5, atol=1e-6)
  shapes = jax.ShapeDtypeStruct((1, 32), jnp.float32)
  report, flat = bx.count(stack, shapes), bx.count(unrolled, layers, shapes)
  assert report.macs == flat.macs == {(1, 32): 1536, (4, 32): 1536}
  for convention in ("packed", "deployed"):
    assert report.weight_bits(convention) == flat.weight_bits(convention)


class PartlyBinary(nnx.Module):
  """PB-LLM (arXiv:2310.00034): the largest 10 % at 8 bits, the rest at 1."""

  def __init__(self, num_classes: int, image_shape: tuple[int, ...], *, rngs):
    features = int(np.prod(image_shape))
    w = nnx.initializers.lecun_normal()(rngs.params(), (features, num_classes))
    rank = jnp.argsort(jnp.argsort(jnp.abs(w).ravel())).reshape(w.shape)
    low = rank < w.size * 9 // 10
    self.head = bx.Linear(
      *w.shape,
      weight=bx.QuantizedWeight(
        bx.WeightTerm(w, "ste|channel_l1", mask=low, density=0.9),
        bx.WeightTerm(
          w,
          "symmetric(bits=8)|channel_max",
          mask=low,
          complement=True,
          density=0.1,
        ),
      ),
      use_bias=False,
      rngs=rngs,
    )

  def __call__(self, x, mode=None):
    return self.head(x.reshape(len(x), -1), mode)


@pytest.fixture
def partly_binary():
  registry.register("model", "partly_binary")(PartlyBinary)
  yield
  registry.registered_table("model").pop("partly_binary")


def test_two_masked_terms_train_count_save_restore(partly_binary, tmp_path):
  config = config_lib.base()
  config.data.update(
    name="fake",
    shape=(8, 8, 1),
    num_classes=10,
    batch_size=16,
    eval_batch_size=16,
    options={"size": 64, "shape": (8, 8, 1)},
  )
  config.model = {"name": "partly_binary"}
  config.steps = 4
  result = train(config, tmp_path / "run")
  assert result.report.weight_bits("packed") == Fraction(27, 10) * 640
  assert result.report.macs == {(1, 32): 576, (8, 32): 64}
  network, state, _ = runs.restore(
    config_lib.resolve(config), tmp_path / "run", "last"
  )
  start, _ = network.variables(0)
  weight = lambda params: params["head"]["weight"]["values"][0]  # noqa: E731
  assert np.any(weight(start) != weight(state["params"]))
  mask = state["rest"]["head"]["weight"]["masks"][0]
  assert mask.dtype == bool
  assert mask.sum() == 576
  assert evaluate(tmp_path / "run") == result.metrics
  model = network.merge(state)
  values = bx.deployed_weight(model.head)
  assert [t.kind.bits for t in values.terms] == [1, 8]
  assert dataclasses.replace(values, surrogate=None).validate() is not None
