"""`binarize_fn`: networks of Flax Linen and plain functions."""

import dataclasses
import re

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx
from jax import lax

import bnnjax as bx
from bnnjax.errors import UserError
from tests.convert import networks

W1A1 = {"weight": "ste|channel_l1", "act": "ste"}
LEARNED = {
  "weight": "ste|learned",
  "act": "shift > ste",
  "output": "channel",
}


def normal(*shape, seed=0):
  return jax.random.normal(jax.random.key(seed), shape)


NETWORKS = {
  "cnn": (networks.LinenResNet(), (4, 6, 6, 2), r".*Conv_\d\.kernel"),
  "transformer": (networks.LinenTransformer(), (4, 3, 5), r".*blocks.*kernel"),
}


@pytest.mark.parametrize("name", NETWORKS)
def test_networks_of_linen_are_converted_counted_and_trained(name):
  network, shape, pattern = NETWORKS[name]
  x, labels = normal(*shape), jnp.array([0, 1, 2, 0])
  rng = np.random.default_rng(0)
  variables = jax.tree.map(  # all positive: some are variances
    lambda a: jnp.asarray(rng.uniform(0.1, 0.5, a.shape), a.dtype),
    jax.eval_shape(network.init, jax.random.key(1), x),
  )

  fn, params = bx.binarize_fn(network.apply, variables, {pattern: LEARNED}, x)

  before, after = bx.count(network.apply, variables, x), bx.count(fn, params, x)
  assert after.macs.keys() - before.macs.keys() == {(1, 1)}
  assert sum(after.macs.values()) == sum(before.macs.values())
  assert after.ace < before.ace

  @jax.jit
  def step(params):
    def loss(params):
      logits = fn(params, x)
      return -jnp.mean(jax.nn.log_softmax(logits)[jnp.arange(4), labels])

    value, grads = jax.value_and_grad(loss)(params)
    return jax.tree.map(lambda p, g: p - 0.05 * g, params, grads), value

  losses = []
  for _ in range(20):
    params, value = step(params)
    losses.append(float(value))
  assert losses[-1] < 0.8 * losses[0]


def scanned(w, x):
  """Residual blocks in a scan, rematerialized."""

  @jax.checkpoint
  def block(x, w):
    return x + jax.nn.gelu(x @ w)

  return lax.scan(lambda x, w: (block(x, w), None), x, w)[0]


class Residual(nn.Module):
  @nn.compact
  def __call__(self, x, _):
    return x + jax.nn.gelu(nn.Dense(4, use_bias=False, name="w")(x)), None


def scanned_by_linen(w, x):
  """The same by `nn.scan` and `nn.remat`."""
  blocks = nn.scan(
    nn.remat(Residual, prevent_cse=False),
    variable_axes={"params": 0},
    length=len(w),
  )
  return blocks().apply({"params": {"w": {"kernel": w}}}, x, None)[0]


@pytest.mark.parametrize("blocks", [scanned, scanned_by_linen])
def test_a_scan_with_remat_has_the_gradients_of_layers(blocks):
  """Kernels stacked in a scan equal one `bx.Linear` each, to the bit."""

  def fn(p, x):
    return blocks(p["w"], x @ p["stem"]) @ p["head"]

  def of_layers(p, scales, x):
    x = x @ p["stem"]
    for i in range(3):
      layer = bx.Linear(
        4, 4, weight="ste|learned", act="ste", use_bias=False, rngs=nnx.Rngs(0)
      )
      layer.kernel[...] = p["w"][i]
      layer.weight.params["scale"][...] = scales[i]
      x = x + jax.nn.gelu(layer(x))
    return x @ p["head"]

  p = {
    "stem": normal(5, 4),
    "w": normal(3, 4, 4, seed=1) / 2,
    "head": normal(4, 2, seed=2),
  }
  x = normal(6, 5, seed=3)
  rule = {"weight": "ste|learned", "act": "ste"}
  fn2, params = bx.binarize_fn(fn, p, {"w": rule}, x)
  jaxpr = str(jax.make_jaxpr(fn2)(params, x))
  assert "scan[" in jaxpr
  assert re.search(r"(checkpoint|remat2?)\[", jaxpr)
  scales = params["binarizers"]["w"]["weight"]["scale"]
  wanted = jnp.mean(jnp.abs(p["w"]), axis=1, keepdims=True)
  np.testing.assert_allclose(scales, wanted, rtol=1e-6)

  mine = jax.jit(jax.value_and_grad(lambda p: jnp.sum(fn2(p, x) ** 2)))
  theirs = jax.jit(
    jax.value_and_grad(lambda *a: jnp.sum(of_layers(*a, x) ** 2), (0, 1))
  )
  y, found = mine(params)
  wanted_y, (of_p, of_scales) = theirs(p, scales)
  np.testing.assert_array_equal(y, wanted_y)
  for path in p:
    np.testing.assert_allclose(found["params"][path], of_p[path], rtol=1e-5)
  of_scale = found["binarizers"]["w"]["weight"]["scale"]
  np.testing.assert_allclose(of_scale, of_scales, rtol=1e-5)


def test_a_convolution_equals_the_layer():
  """Values and gradients to the bit, and the whole cost."""

  def fn(kernel, x):
    numbers = ("NHWC", "HWIO", "NHWC")
    return lax.conv_general_dilated(
      x, kernel, (2, 2), "SAME", dimension_numbers=numbers
    )

  options = {"weight": "ste|learned", "act": "shift > approx_sign"}
  layer = bx.Conv(
    2, 3, (3, 3), strides=2, use_bias=False, rngs=nnx.Rngs(0), **options
  )
  graph, state = nnx.split(layer)
  x = normal(1, 5, 5, 2, seed=5)
  kernel = layer.kernel[...]
  fn2, params = bx.binarize_fn(fn, kernel, {"params": options}, x)

  mine = lambda p: jnp.sum(jnp.sin(fn2(p, x)))  # noqa: E731
  theirs = lambda s: jnp.sum(jnp.sin(nnx.merge(graph, s)(x)))  # noqa: E731
  found, wanted = jax.jit(
    lambda p, s: (jax.value_and_grad(mine)(p), jax.value_and_grad(theirs)(s))
  )(params, state)
  found = {a.tobytes() for a in map(np.asarray, jax.tree.leaves(found))}
  wanted = {a.tobytes() for a in map(np.asarray, jax.tree.leaves(wanted))}
  assert len(found) == 4
  assert found == wanted

  cost, of_layer = bx.count(fn2, params, x), bx.count(layer, x)
  assert cost.macs == of_layer.macs
  assert cost.ace == of_layer.ace
  assert cost.weight_bytes() == of_layer.weight_bytes()
  assert cost.parameter_count == of_layer.parameter_count


def mlp(p, x):
  for w in p:
    x = jnp.tanh(x @ w)
  return x


MLP = [normal(4, 4, seed=seed) for seed in range(4)]
X = normal(3, 4, seed=9)


def test_first_and_last_layer_stay_float_unless_named():
  def signs(rules):
    fn, params = bx.binarize_fn(mlp, MLP, rules, X)
    macs = bx.count(fn, params, X).macs
    return macs.get((1, 1), 0) // (3 * 4 * 4)

  assert signs({".*": W1A1}) == 2
  assert signs({"0": W1A1, ".*": W1A1}) == 3
  assert signs({"0": W1A1, "3": W1A1}) == 2


def test_a_tied_parameter_binarizes_at_each_use():
  def fn(p, x):
    return jnp.tanh(x @ p[0] @ p[1]) @ p[1].T @ p[2]

  fn2, params = bx.binarize_fn(fn, MLP, {"1": W1A1}, X)
  assert bx.count(fn2, params, X).macs[1, 1] == 2 * 3 * 4 * 4
  with pytest.raises(UserError, match="'1' is used in two layouts"):
    bx.binarize_fn(fn, MLP, {"1": LEARNED}, X)


def test_a_binarized_function_asks_for_its_mode():
  fn, params = bx.binarize_fn(mlp, MLP, {"1": W1A1}, X)
  with pytest.raises(UserError, match="has an argument `mode`"):
    bx.binarize_fn(fn, params, {"params.2": W1A1}, X)
  twice, new = bx.binarize_fn(
    lambda p, x: fn(p, x, mode=bx.Mode()), params, {"params.2": W1A1}, X
  )
  assert bx.count(twice, new, X).macs[1, 1] == 2 * 3 * 4 * 4


def test_under_transformations():
  fn, params = bx.binarize_fn(mlp, MLP, {"[12]": LEARNED}, X)
  wanted = fn(params, X)
  np.testing.assert_allclose(jax.jit(fn)(params, X), wanted, rtol=1e-6)
  each = jax.jit(jax.vmap(fn, (None, 0)))(params, X)
  np.testing.assert_allclose(each, wanted, rtol=1e-5)
  mesh = jax.make_mesh((1,), ("data",))
  spec = jax.sharding.PartitionSpec
  mapped = jax.shard_map(
    fn, mesh=mesh, in_specs=(spec(), spec()), out_specs=spec(), check_vma=False
  )
  np.testing.assert_allclose(jax.jit(mapped)(params, X), wanted, rtol=1e-6)


def test_shapes_suffice():
  shapes = jax.eval_shape(lambda: MLP)
  _, params = bx.binarize_fn(
    mlp, shapes, {"[12]": LEARNED}, jax.eval_shape(lambda: X)
  )
  assert params["params"] is shapes
  found = params["binarizers"]["1"]
  assert jax.tree.map(lambda x: x.shape, found) == {
    "weight": {"scale": (1, 4)},
    "act": {"shift": (1, 4)},
    "output": {"scale": (4,)},
  }


def test_paths_of_any_pytree():
  @jax.tree_util.register_dataclass
  @dataclasses.dataclass
  class Params:
    first: jax.Array
    rest: dict

  params = Params(MLP[0], {"a": (MLP[1], MLP[2])})
  fn, new = bx.binarize_fn(
    lambda p, x: x @ p.first @ p.rest["a"][0] @ p.rest["a"][1],
    params,
    {r"rest\.a\.0": "reactnet"},
    X,
  )
  assert fn(new, X).shape == (3, 4)
  assert list(new["binarizers"]) == ["rest.a.0"]
  rule = {"weight": "ste"}
  one, new = bx.binarize_fn(lambda w, x: x @ w, MLP[0], {"params": rule}, X)
  wanted = X @ jnp.where(MLP[0] >= 0, 1.0, -1.0)
  np.testing.assert_allclose(one(new, X), wanted, rtol=1e-5)


def test_a_function_of_parameters_alone_is_its_own_example():
  fn, params = bx.binarize_fn(lambda p: mlp(p, X), MLP, {"[12]": "reactnet"})
  assert list(params["binarizers"]) == ["1", "2"]
  assert fn(params).shape == (3, 4)


def test_without_an_example():
  rules = {"0": None, "3": None, ".*": W1A1}
  fn, params = bx.binarize_fn(mlp, MLP, rules)
  known, same = bx.binarize_fn(mlp, MLP, {".*": W1A1}, X)
  np.testing.assert_array_equal(fn(params, X), known(same, X))
  with pytest.raises(UserError, match="must name the first and the last"):
    bx.binarize_fn(mlp, MLP, {".*": W1A1})
  with pytest.raises(UserError, match="has learned parameters, whose shapes"):
    bx.binarize_fn(mlp, MLP, rules | {".*": LEARNED})
  with pytest.raises(UserError, match="matches no layer"):
    bx.binarize_fn(mlp, MLP, rules | {"4": None})
  fn, params = bx.binarize_fn(mlp, MLP, {"0": None, "2": None, ".*": W1A1})
  with pytest.raises(UserError, match="The last layer is '3'"):
    fn(params, X)


def test_the_mode_reaches_schedules():
  fn, params = bx.binarize_fn(mlp, MLP, {"[12]": "irnet"}, X)
  loss = lambda p, mode=None: jnp.sum(fn(p, X, mode=mode))  # noqa: E731
  with pytest.warns(UserWarning, match="the binarizers of '[12]'"):
    jax.eval_shape(jax.grad(loss), params)
  grad = jax.jit(jax.grad(loss))
  start, end = (
    grad(params, bx.Mode.training(bx.Progress.at(i, 9, 1.0))) for i in (0, 9)
  )
  first, last = (np.asarray(g["params"][1]) for g in (start, end))
  assert np.abs(first - last).max() > 1e-3
  with pytest.raises(UserError, match="is a bnnjax.Mode, got 'train'"):
    fn(params, X, mode="train")
  with pytest.raises(UserError, match="has an argument `mode`"):
    bx.binarize_fn(lambda p, x, mode: x, MLP, {".*": W1A1}, X, mode=1)


def test_python_values_reach_the_function():
  def fn(p, x, *, depth):
    return mlp(p[:depth], x)

  fn2, params = bx.binarize_fn(fn, MLP, {"1": W1A1}, X, depth=4)
  assert fn2(params, X, depth=3).shape == (3, 4)
  fn2, params = bx.binarize_fn(fn, MLP, {"[123]": W1A1}, X, depth=3)
  with pytest.raises(UserError, match="'3' was not used with the example"):
    fn2(params, X, depth=4)


def test_training_only_parameters_are_apart():
  fn, params = bx.binarize_fn(mlp, MLP, {"[12]": "fda"}, X)
  assert not params["binarizers"]
  assert set(params["training_only"]["1"]) == {"weight", "act"}
  assert bx.count(fn, params, X).macs[1, 1] == 2 * 3 * 4 * 4
  mode = bx.Mode.training(bx.Progress.at(0, 9, 1.0))
  assert np.all(np.isfinite(fn(params, X, mode=mode)))


@pytest.mark.parametrize(
  ("change", "says"),
  [
    (lambda p: p["params"], "takes the parameters that `binarize_fn` returned"),
    (lambda p: p | {"params": MLP[:2]}, "The parameters lack '2'"),
    (lambda p: p | {"binarizers": {}}, "lack what the binarizers of '1'"),
  ],
)
def test_other_parameters(change, says):
  fn, params = bx.binarize_fn(mlp, MLP, {"[12]": "reactnet"}, X)
  with pytest.raises(UserError, match=says):
    fn(change(params), X)


def test_two_parameters_of_one_path():
  with pytest.raises(UserError, match="Two parameters have the path 'a.b'"):
    bx.binarize_fn(lambda p, x: x, {"a": {"b": X}, "a.b": X}, {".*": W1A1}, X)
