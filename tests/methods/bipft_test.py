"""BiPFT against its authors' code: elastic binarizers, attention, a layer."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from bnnjax.core.spec import parse
from bnnjax.layers.attention import Attention
from bnnjax.layers.binarize import Binarize
from bnnjax.layers.collect import learning
from bnnjax.layers.transformer import Encoder, EncoderBlock
from tests import golden_cases, torch_layers
from tests.torch_layers import zero_at_zero

FILE = "bipft_binarizers.npz"


def elastic(case, alpha):
  """Our signed or unsigned binarizer with a step."""
  name = {"signed": "query", "unsigned": "probs"}[golden_cases.stem(case)]
  spec = torch_layers.attention_options("bipft")[name]
  like = jax.ShapeDtypeStruct(case["x"].shape, jnp.float32)
  layer = Binarize(spec, "act", like)
  step = layer.params["step"]
  step[...] = jnp.full_like(step[...], alpha)
  return layer


def first_pass(layer, x, **kwargs):
  """The event that sets the steps."""
  with learning(layer, "init_steps") as mode:
    return layer(jnp.asarray(x), mode, **kwargs)


def check_elastic(layer, case, suffix):
  graph, params, rest = nnx.split(layer, nnx.Param, ...)

  def apply(params, x):
    return nnx.merge(graph, params, rest)(x).dequantize()

  y, vjp = jax.vjp(apply, params, jnp.asarray(case["x"]))
  dparams, dx = vjp(jnp.asarray(case["gy"]))
  golden_cases.close(y, case[f"y{suffix}"], 1e-5, "y")
  golden_cases.close(dx, case[f"gx{suffix}"], 1e-5, "gx")
  dstep = dparams["params"]["step"][...].reshape(())
  golden_cases.close(dstep, case[f"ga{suffix}"], 1e-5, "ga")


@golden_cases.parametrize(FILE, ("signed", "unsigned"), separator=".")
def test_elastic(case):
  check_elastic(elastic(case, case["alpha"]), case, "")


@golden_cases.parametrize(FILE, ("signed", "unsigned"), separator=".")
def test_first_step(case):
  layer = elastic(case, 1.0)
  first_pass(layer, case["x"])
  step = layer.params["step"][...].reshape(())
  golden_cases.close(step, case["alpha_init"], 1e-5, "alpha")
  check_elastic(layer, case, "_init")


@pytest.mark.golden
@pytest.mark.parametrize("rows", [False, True])
def test_weights(rows):
  arrays = golden_cases.arrays(FILE)
  name = "bwn_row" if rows else "bwn_layer"
  preset = "embedding" if rows else None
  made = zero_at_zero("bipft", "weight", preset=preset)
  w, gy = arrays["bwn.w"], arrays["bwn.gy"]  # rows are our last axis
  y, vjp = jax.vjp(made, jnp.asarray(w))
  golden_cases.close(y, arrays[f"{name}.y"], 1e-5, "y")
  golden_cases.close(vjp(jnp.asarray(gy))[0], arrays[f"{name}.gw"], 1e-5, "gw")


@golden_cases.parametrize(FILE, "lin", separator=".")
def test_linear(case):
  layer = torch_layers.make(
    case, zero_at_zero("bipft", "weight"), zero_at_zero("bipft")
  )
  shift = layer.act.params["shift"]
  shift[...] = jnp.asarray(case["move"]).reshape(shift.shape)
  first_pass(layer, case["x"])
  step = layer.act.params["step"]
  golden_cases.close(step[...].reshape(()), case["alpha_after_init"], 1e-5)
  y, grads, dx = torch_layers.gradients(layer, case["x"], case["gy"])
  for got, name in (
    (y, "y"),
    (dx, "gx"),
    (grads["kernel"].T, "gw"),
    (grads["bias"], "gb"),
    (grads["act"]["params"]["shift"].ravel(), "gm"),
    (grads["act"]["params"]["step"].reshape(()), "ga"),
  ):
    golden_cases.close(got, case[name], 1e-5, name)


def linear_names(theirs, ours):
  """Torch names of a binary linear layer to ours."""
  return {
    f"{theirs}.weight": f"{ours}.kernel",
    f"{theirs}.bias": f"{ours}.bias",
    f"{theirs}.input_clip_val": f"{ours}.act.params.step",
    f"{theirs}.move.bias": f"{ours}.act.params.shift",
  }


def attention_names(prefix=""):
  """Torch names inside `BertSelfAttention` to ours."""
  names = {}
  for name in ("query", "key", "value"):
    names |= linear_names(name, f"{prefix}{name}")
  for theirs, ours in (
    ("q_p", "query_plus"), ("k_p", "key_plus"), ("v_p", "value_plus"),
    ("q_m", "query_minus"), ("k_m", "key_minus"),
  ):  # fmt: skip
    for kind, mine in (("weight", "kernel"), ("bias", "bias")):
      names[f"{theirs}.{kind}"] = f"{prefix}residual.{ours}.{mine}"
  for theirs, ours in (
    ("clip_query", "low_query"), ("clip_key", "low_key"),
    ("clip_value", "low_value"), ("clip_attn", "low_probs"),
  ):  # fmt: skip
    names[theirs] = f"{prefix}{ours}.params.step"
  return names


def tolerance(name, steps):
  """Cancelling sums of steps are looser, vanishing gradients absolute."""
  is_step = "clip" in name
  return steps if is_step else 1e-4


def specs():
  return {
    "weight": zero_at_zero("bipft", "weight"),
    "act": zero_at_zero("bipft"),
  }


@pytest.mark.golden
def test_attention():
  arrays = golden_cases.arrays("bipft_attention.npz")
  heads = int(arrays["hp.heads"])
  layer = Attention(
    heads * int(arrays["hp.head_dim"]),
    heads,
    **specs(),
    **torch_layers.attention_options("bipft"),
    rngs=nnx.Rngs(0),
  )
  names = attention_names()
  own = {k.removeprefix("param."): v for k, v in arrays.items()}
  torch_layers.fill(layer, own, names)
  layer.out = lambda y, mode: y
  x, mask = jnp.asarray(arrays["x"]), jnp.asarray(arrays["mask"]) > -1
  check_first_call(layer, arrays, x, mask, names)
  torch_layers.fill(layer, own, names)
  y, grads, dx = gradients(layer, x, mask, arrays["gy"])
  golden_cases.close(y, arrays["context"], 1e-5, "context")
  golden_cases.close(dx, arrays["grad.x"], 1e-4, "x")
  want = {k.removeprefix("grad."): v for k, v in arrays.items()}
  check_parameters(grads, want, names, 1e-4)


def check_first_call(layer, arrays, x, mask, names):
  """The event sets the steps that the authors' first forward pass sets."""
  for name, path in names.items():
    if "clip" in name:
      step = torch_layers.variable(layer, path)
      step[...] = jnp.ones_like(step[...])
  y = first_pass(layer, x, mask=mask)
  golden_cases.close(y, arrays["init.context"], 1e-5, "first context")
  for name, path in names.items():
    if "clip" in name:
      step = torch_layers.variable(layer, path)[...].reshape(())
      golden_cases.close(step, arrays[f"init.alpha.{name}"], 1e-5, name)


def gradients(layer, x, mask, gy):
  graph, params, rest = nnx.split(layer, nnx.Param, ...)

  @jax.jit
  def run(params, x, gy):
    def apply(params, x):
      return nnx.merge(graph, params, rest)(x, mask=mask)

    y, vjp = jax.vjp(apply, params, x)
    return y, *vjp(gy)

  return run(nnx.to_pure_dict(params), x, jnp.asarray(gy))


def check_parameters(grads, want, names, steps):
  """All recorded gradients; those that vanish have rounding noise."""
  vanish = {k for k in names if k.endswith(("k_p.bias", "k_m.bias"))}
  recorded = {k: p for k, p in names.items() if k in want}
  assert len(recorded) > len(names) / 2
  torch_layers.check_gradients(
    grads,
    want,
    {k: p for k, p in recorded.items() if k not in vanish},
    lambda name: tolerance(name, steps),
  )
  for name in vanish & set(recorded):
    found = torch_layers.leaf(grads, names[name])
    np.testing.assert_allclose(found.ravel(), want[name].ravel(), atol=1e-5)


@pytest.mark.golden
def test_layer():
  arrays = golden_cases.arrays("bipft_layer.npz")
  own = {k.removeprefix("param."): v for k, v in arrays.items()}
  heads = int(arrays.get("hp.heads", 12))  # hard-coded in the original
  hidden, features = own["intermediate.dense.weight"].shape
  encoder = Encoder(
    features,
    heads,
    hidden,
    **specs(),
    attention=torch_layers.attention_options("bipft"),
    norm="post",
    epsilon=1e-12,
  )
  block = EncoderBlock(encoder, rngs=nnx.Rngs(0))
  inside = attention_names("attention.")
  names = {f"attention.self.{k}": path for k, path in inside.items()}
  for theirs, ours in (
    ("attention.output.dense", "attention.out"),
    ("intermediate.dense", "expand"),
    ("output.dense", "reduce"),
  ):
    names |= linear_names(theirs, ours)
  for theirs, ours in (
    ("attention.output", "attention_norm"),
    ("output", "mlp_norm"),
  ):
    names[f"{theirs}.LayerNorm.weight"] = f"{ours}.scale"
    names[f"{theirs}.LayerNorm.bias"] = f"{ours}.bias"
  torch_layers.fill(block, own, names)
  x, mask = jnp.asarray(arrays["x"]), jnp.asarray(arrays["mask"]) > -1
  y, grads, dx = gradients(block, x, mask, arrays["gy"])
  golden_cases.close(y, arrays["y"], 1e-4, "y")
  golden_cases.close(dx, arrays["grad.x"], 1e-4, "x")
  want = {k.removeprefix("grad."): v for k, v in arrays.items()}
  check_parameters(grads, want, names, 5e-4)


def test_a_learned_step_needs_an_estimator_with_a_rule():
  with pytest.raises(ValueError, match="no rule for its scale's gradient"):
    parse("ste|learned_step", "act")
  made = parse("elastic|learned_step", "act")
  assert dataclasses.replace(made, gradient="none").gradient == "none"
