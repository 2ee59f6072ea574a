"""BiViT against its authors' code: linear layers, attention, MLPs."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from bnnjax.core.progress import DEPLOYED
from bnnjax.core.spec import parse
from bnnjax.layers.attention import Attention
from bnnjax.layers.transformer import Encoder, EncoderBlock
from tests import golden_cases, torch_layers
from tests.torch_layers import zero_at_zero

FILE, BLOCKS = "bivit_linear.npz", "bivit_blocks.npz"


def plain_weight():
  """Scale `mean |w|`, detached, in the graph: it multiplies the gradient."""
  return zero_at_zero(
    "center > ste(strict=True)|channel_l1",
    "weight",
    measure="latent",
    gradient="multiply",
  )


def probs(arrays, key="hp.thr"):
  return f"softmax_aware(beta={float(arrays.get(key, 0.25))})"


@pytest.mark.golden
def test_softmax_aware_binarization():
  arrays = golden_cases.arrays(FILE)
  made = zero_at_zero(probs(arrays))
  apply = lambda s: made(jax.nn.softmax(s, axis=-1))  # noqa: E731
  y, vjp = jax.vjp(apply, jnp.asarray(arrays["sab.s"]))
  golden_cases.close(y, arrays["sab.y"], 0, "y")
  gx = vjp(jnp.asarray(arrays["sab.gy"]))[0]
  golden_cases.close(gx, arrays["sab.gx_attention"], 1e-5, "gx")


@golden_cases.parametrize(FILE, "sign", separator=".")
def test_sign(case):
  y, vjp = jax.vjp(zero_at_zero("bivit"), jnp.asarray(case["x"]))
  golden_cases.close(y, case["y"], 0, "y")
  golden_cases.close(vjp(jnp.asarray(case["gy"]))[0], case["gx"], 1e-5, "gx")


@golden_cases.parametrize(FILE, ("ste", "pws"), separator=".")
def test_linear(case):
  learned = "alpha" in case
  weight = zero_at_zero("bivit", "weight") if learned else plain_weight()
  act = None if "32a" in case.name else zero_at_zero("bivit")
  layer = torch_layers.make(case, weight, act)
  if learned:
    like = zero_at_zero("bivit", "weight").init(jnp.asarray(case["w"].T))
    first = like[0]["scale"]
    golden_cases.close(first.T, case["alpha_init"], 1e-5, "alpha at the start")
    scale = layer.weight.params["scale"]
    scale[...] = jnp.asarray(case["alpha"].T)
  y, grads, dx = torch_layers.gradients(layer, case["x"], case["gy"])
  golden_cases.close(y, case["y"], 1e-5, "y")
  golden_cases.close(dx, case["gx"], 1e-5, "gx")
  golden_cases.close(grads["kernel"].T, case["gw"], 1e-5, "gw")
  golden_cases.close(grads["bias"], case["gb"], 1e-5, "gb")
  if learned:
    got = grads["weight"]["params"]["scale"]
    golden_cases.close(got.T, case["galpha"], 1e-5, "galpha")


def part(arrays, prefix):
  """Parameters and gradients of a module, its `qkv` cut into three."""
  found = {}
  for kind in ("param", "grad"):
    start = f"{prefix}.{kind}."
    own = {
      k.removeprefix(start): v for k, v in arrays.items() if k.startswith(start)
    }
    for key in [k for k in own if k.startswith("qkv.")]:
      pieces = jnp.split(own.pop(key), 3)
      for name, piece in zip(("query", "key", "value"), pieces):
        own[key.replace("qkv", name)] = piece
    found[kind] = own
  return found["param"], found["grad"]


def names_of(params, modules):
  """Torch names to ours for the modules that were recorded."""
  kinds = {
    "weight": "kernel",
    "bias": "bias",
    "scaling_factor": "weight.params.scale",
  }
  return {
    name: f"{modules[module]}.{kinds[kind]}"
    for name in params
    if name != "x"
    for module, kind in [name.split(".")]
  }


def check(module, apply, arrays, prefix, modules):
  params, grads = part(arrays, prefix)
  names = names_of(params, modules)
  torch_layers.fill(module, params, names)
  graph, variables, rest = nnx.split(module, nnx.Param, ...)

  @jax.jit
  def run(variables, x):
    def forward(variables, x):
      return apply(nnx.merge(graph, variables, rest), x)

    y, vjp = jax.vjp(forward, variables, x)
    return y, *vjp(jnp.asarray(arrays[f"{prefix}.gy"]))

  y, got, dx = run(nnx.to_pure_dict(variables), jnp.asarray(params["x"]))
  golden_cases.close(y, arrays[f"{prefix}.y"], 1e-4, "y")
  golden_cases.close(dx, grads["x"], 1e-4, "x")
  torch_layers.check_gradients(got, grads, names, lambda _: 1e-4)


PROJECTIONS = {
  "query": "query", "key": "key", "value": "value", "proj": "out",
}  # fmt: skip


@pytest.mark.golden
@pytest.mark.parametrize("prefix", ["sab", "base"])
def test_attention(prefix):
  arrays = golden_cases.arrays(BLOCKS)
  heads = int(arrays["hp.heads"])
  if prefix == "sab":
    weight = zero_at_zero("bivit", "weight")
    options = torch_layers.attention_options("bivit", probs=probs(arrays))
  else:
    weight = plain_weight()
    options = torch_layers.attention_options("bibert")
  layer = Attention(
    heads * int(arrays["hp.head_dim"]),
    heads,
    weight=weight,
    act=zero_at_zero("bivit"),
    **options,
    rngs=nnx.Rngs(0),
  )
  check(layer, lambda m, x: m(x), arrays, prefix, PROJECTIONS)


@pytest.mark.golden
@pytest.mark.parametrize("prefix", ["mlp_w1a1", "mlp_pws_w1a32"])
def test_mlp(prefix):
  arrays = golden_cases.arrays(BLOCKS)
  hidden, features = arrays[f"{prefix}.param.fc1.weight"].shape
  binary = prefix == "mlp_w1a1"
  weight = plain_weight() if binary else zero_at_zero("bivit", "weight")
  act = zero_at_zero("bivit") if binary else "float"
  encoder = Encoder(features, 1, hidden, mlp_weight=weight, mlp_act=act)
  block = EncoderBlock(encoder, rngs=nnx.Rngs(0))
  modules = {"fc1": "expand", "fc2": "reduce"}
  check(block, lambda m, x: m.mlp(x, DEPLOYED), arrays, prefix, modules)


@pytest.mark.parametrize(
  ("act", "low", "high"), [("bivit", 0.12, 0.15), ("ste(clip=4.0)", 0.84, 0.88)]
)
def test_share_of_the_context_that_passes_a_gradient(act, low, high):
  """Random signs of 50 tokens, heads of 32, in the presets' own functions."""
  keys = jax.random.split(jax.random.key(0), 3)
  q, k, v = (jax.random.rademacher(r, (32, 50, 32), float) for r in keys)
  scores = jnp.einsum("bqd,bkd->bqk", q, k) / 32**0.5
  probs = parse("softmax_aware", "act")(jax.nn.softmax(scores, axis=-1))
  context = probs @ v
  passed = jax.grad(lambda x: parse(act, "act")(x).sum())(context)
  assert low < passed.mean() < high
  if act == "bivit":
    np.testing.assert_array_equal(passed, context == 0)
