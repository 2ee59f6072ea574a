"""BiBERT against its authors' code: binarizers, attention, a whole layer."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from bnnjax.core.progress import DEPLOYED
from bnnjax.layers import intermediates
from bnnjax.layers.attention import Attention, options
from bnnjax.layers.transformer import Encoder, EncoderBlock
from bnnjax.models.bert import Embedding
from bnnjax.tasks.distances import relation
from tests import golden_cases, torch_layers
from tests.torch_layers import zero_at_zero

FILE, ATTENTION = "bibert_binarizers.npz", "bibert_attention.npz"


@golden_cases.parametrize(FILE, ("sign", "bool"), separator=".")
def test_binarizers(case):
  name = {"sign": "query", "bool": "probs"}[golden_cases.stem(case)]
  made = torch_layers.attention_options("bibert")[name]
  y, vjp = jax.vjp(made, jnp.asarray(case["x"]))
  golden_cases.close(y, case["y"], 1e-5, "y")
  golden_cases.close(vjp(jnp.asarray(case["gy"]))[0], case["gx"], 1e-5, "gx")


@golden_cases.parametrize(FILE, "lin", separator=".")
def test_linear(case):
  weight = zero_at_zero("bibert", "weight")
  layer = torch_layers.make(case, weight, zero_at_zero("bibert"))
  y, grads, dx = torch_layers.gradients(layer, case["x"], case["gy"])
  golden_cases.close(y, case["y"], 1e-5, "y")
  golden_cases.close(dx, case["gx"], 1e-5, "gx")
  golden_cases.close(grads["kernel"].T, case["gw"], 1e-5, "gw")
  golden_cases.close(grads["bias"], case["gb"], 1e-5, "gb")


@golden_cases.parametrize(FILE, "emb", separator=".")
def test_embedding(case):
  """Row 0 is padding; torch keeps its gradient from the table."""
  weight = zero_at_zero("bibert", "weight", preset="embedding")
  table = Embedding(*case["w"].shape, weight=weight, rngs=nnx.Rngs(0))
  table.table[...] = jnp.asarray(case["w"])
  ids = jnp.asarray(case["ids"])
  y = table(ids)
  golden_cases.close(y, case["y"], 1e-5, "y")
  graph, params, rest = nnx.split(table, nnx.Param, ...)
  loss = lambda p: jnp.sum(nnx.merge(graph, p, rest)(ids) * case["gy"])  # noqa: E731
  grad = np.array(jax.grad(loss)(params)["table"][...])
  grad[0] = 0
  golden_cases.close(grad, case["gw"], 1e-5, "gw")


PROJECTIONS = {
  f"{theirs}.{kind}": f"{ours}.{'kernel' if kind == 'weight' else 'bias'}"
  for theirs, ours in {
    "attention.self.query": "attention.query",
    "attention.self.key": "attention.key",
    "attention.self.value": "attention.value",
    "attention.output.dense": "attention.out",
    "intermediate.dense": "expand",
    "output.dense": "reduce",
  }.items()
  for kind in ("weight", "bias")
}
NORMS = {
  f"{theirs}.LayerNorm.{kind}": f"{ours}.{'scale' if kind == 'weight' else kind}"
  for theirs, ours in {
    "attention.output": "attention_norm",
    "output": "mlp_norm",
  }.items()
  for kind in ("weight", "bias")
}
NAMES = PROJECTIONS | NORMS


def block(arrays):
  heads = int(arrays["hp.heads"])
  features = heads * int(arrays["hp.head_dim"])
  encoder = Encoder(
    features,
    heads,
    int(arrays["hp.ffn"]),
    weight=zero_at_zero("bibert", "weight"),
    act=zero_at_zero("bibert"),
    attention=torch_layers.attention_options("bibert"),
    norm="post",
    epsilon=float(arrays["hp.ln_eps"]),
  )
  made = EncoderBlock(encoder, rngs=nnx.Rngs(0))
  params = {k.removeprefix("param."): v for k, v in arrays.items()}
  torch_layers.fill(made, params, NAMES)
  return made


def run(arrays, function):
  """Value, gradients of the parameters and of `x` of a scalar function."""
  graph, params, rest = nnx.split(block(arrays), nnx.Param, ...)

  @jax.jit
  def loss(params, x):
    return function(nnx.merge(graph, params, rest), x)

  params = nnx.to_pure_dict(params)
  return jax.grad(loss, argnums=(0, 1))(params, jnp.asarray(arrays["x"]))


def context(model, x, mask):
  """What the attention gives before its output projection."""
  attention = model.attention
  attention.out = lambda y, mode: y
  return intermediates.call(attention, x, mode=DEPLOYED, mask=mask)


@pytest.mark.golden
def test_attention_and_its_relations():
  arrays = golden_cases.arrays(ATTENTION)
  mask = jnp.asarray(arrays["mask"]) > -1
  names = ("value", "query", "key")

  def parts(model, x):
    y, left = context(model, x, mask)
    plural = {"value": "values", "query": "queries", "key": "keys"}
    return y, {n: relation(left[plural[n]][0]) for n in names}

  y, relations = parts(block(arrays), jnp.asarray(arrays["x"]))
  golden_cases.close(y, arrays["att.context"], 1e-5, "context")
  for name, got in relations.items():
    golden_cases.close(got, arrays[f"att.{name}_scores"], 1e-5, name)

  def loss(model, x, weight):
    y, relations = parts(model, x)
    total = jnp.sum(y * arrays["cot.ctx"])
    for name, got in relations.items():
      total += weight * jnp.sum(got * arrays[f"cot.{name[0]}s"])
    return total

  for prefix, weight in (("grad_ctx", 0.0), ("grad_all", 0.01)):
    grads, dx = run(arrays, lambda m, x, w=weight: loss(m, x, w))
    golden_cases.close(dx, arrays[f"{prefix}.x"], 1e-4, "x")
    own = {
      k.removeprefix(f"{prefix}."): v
      for k, v in arrays.items()
      if k.startswith(prefix)
    }
    own_names = {
      k: NAMES[f"attention.self.{k}"] for k in own if k not in ("x",)
    }
    torch_layers.check_gradients(grads, own, own_names, lambda _: 1e-4)


@pytest.mark.golden
def test_layer():
  arrays = golden_cases.arrays(ATTENTION)
  mask = jnp.asarray(arrays["mask"]) > -1
  y = block(arrays)(jnp.asarray(arrays["x"]), mask=mask)
  golden_cases.close(y, arrays["layer.y"], 1e-5, "y")
  grads, dx = run(
    arrays, lambda m, x: jnp.sum(m(x, mask=mask) * arrays["layer.gy"])
  )
  golden_cases.close(dx, arrays["layer.g.x"], 1e-4, "x")
  own = {k.removeprefix("layer.g."): v for k, v in arrays.items()}
  torch_layers.check_gradients(grads, own, NAMES, lambda _: 1e-4)


def test_all_ones_sums_the_values_that_the_mask_shows():
  """The context of every query, whatever queries and keys are."""
  layer = Attention(8, 2, **options("all_ones"), rngs=nnx.Rngs(0))
  layer.out = lambda y, mode: y
  x = jax.random.normal(jax.random.key(0), (1, 5, 8))
  value = np.where(layer.value(x) >= 0, 1, -1)
  seen = np.array([True, True, False, True, False])
  for mask, values in ((None, value), (seen, value[:, seen])):
    want = values.sum(axis=1, keepdims=True).repeat(5, axis=1)
    np.testing.assert_array_equal(layer(x, mask=mask), want)
