"""Networks of flax are binarized in place, and made float again."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from flax import nnx

import bnnjax as bx
from bnnjax.convert import modules
from bnnjax.errors import UserError
from bnnjax.layers.variables import LatentWeight
from tests.convert import networks

RULE = {"weight": "ste|channel_l1", "act": "ste"}


def arrays(model):
  """The state of a model without random keys."""
  return jax.tree.map(np.asarray, nnx.state(model, nnx.Not(nnx.RngState)))


def trained(model, x, steps=20):
  """Losses of some steps on two examples."""
  optimizer = nnx.Optimizer(model, optax.adam(1e-2), wrt=nnx.Param)
  labels = jnp.array([0, 3])

  @nnx.jit
  def step(model, optimizer):
    def loss(model):
      logits = model(x)
      return optax.softmax_cross_entropy_with_integer_labels(
        logits, labels
      ).mean()

    value, gradient = nnx.value_and_grad(loss)(model)
    optimizer.update(model, gradient)
    return value

  model.train()
  losses = []
  for i in range(steps):
    bx.set_progress(model, bx.Progress.at(i, steps, 1.0))
    losses.append(float(step(model, optimizer)))
  model.eval()
  return losses


@pytest.mark.parametrize("network", networks.ALL, ids=lambda n: n.__name__)
def test_networks(network):
  """Converted, counted, made float again to the bit, converted, trained."""
  model, x = network(nnx.Rngs(0)), networks.batch(network)
  model.eval()
  before, state = model(x), arrays(model)
  model, report = bx.binarize(model, {".*": RULE}, x)
  assert report.after.ace < report.before.ace
  assert report.after.macs[1, 1] > 0
  first, last = report.layers[0], report.layers[-1]
  assert first.path not in report.paths
  assert last.path == "head"
  assert last.rule.is_float
  assert not np.array_equal(model(x), before)
  bx.unbinarize(model)
  jax.tree.map(np.testing.assert_array_equal, arrays(model), state)
  np.testing.assert_array_equal(model(x), before)
  bx.binarize(model, {".*": RULE}, x)
  losses = trained(model, x)
  assert losses[-1] < 0.7 * losses[0]


class Around(nnx.Module):
  """A layer between two others that stay float."""

  def __init__(self, layer):
    self.layer = layer
    self.ends = nnx.List([nnx.Linear(1, 1, rngs=nnx.Rngs(0)) for _ in "ab"])

  def __call__(self, x):
    self.ends[0](jnp.ones((1, 1)))
    y = self.layer(x)
    self.ends[1](jnp.ones((1, 1)))
    return y


def converted(layer, rule, x):
  model = Around(layer)
  bx.binarize(model, {"layer.*": rule}, x)
  return model


@pytest.mark.parametrize(
  ("theirs", "ours", "shape"),
  [
    (
      nnx.Linear(4, 3, rngs=nnx.Rngs(0)),
      lambda **k: bx.Linear(4, 3, **k),
      (2, 4),
    ),
    (
      nnx.Conv(
        4, 6, (3, 2), strides=2, feature_group_count=2, rngs=nnx.Rngs(0)
      ),
      lambda **k: bx.Conv(4, 6, (3, 2), strides=2, groups=2, **k),
      (2, 5, 6, 4),
    ),
    (
      nnx.Conv(4, 6, 3, padding=((2, 0),), kernel_dilation=2, rngs=nnx.Rngs(0)),
      lambda **k: bx.Conv(4, 6, (3,), padding=((2, 0),), dilation=2, **k),
      (2, 5, 4),
    ),
    (  # causal zeros are no inputs
      nnx.Conv(4, 6, 3, padding="CAUSAL", rngs=nnx.Rngs(0)),
      lambda **k: bx.Conv(4, 6, (3,), padding=((2, 0),), **k),
      (2, 5, 4),
    ),
  ],
  ids=["linear", "groups", "dilation", "causal"],
)
def test_layers_compute_what_those_of_this_package_do(theirs, ours, shape):
  """Values and gradients to the bit, with output scale and bias."""
  x = jax.random.normal(jax.random.key(1), shape)
  rule = {"weight": "ste|channel_l1", "act": "ste", "output": "channel"}
  ours = ours(**rule, rngs=nnx.Rngs(0))
  ours.kernel[...] = theirs.kernel[...]
  model = converted(theirs, rule, x)
  assert isinstance(theirs.kernel, LatentWeight)
  model.train()
  ours.train()

  def loss(model, x):
    return (model(x) ** 2).sum()

  for value in (lambda m, x: m(x), nnx.grad(loss, argnums=1)):
    np.testing.assert_array_equal(value(model, x), value(ours, x))
  mine, wanted = nnx.grad(loss)(model, x).layer, nnx.grad(loss)(ours, x)
  np.testing.assert_array_equal(mine.kernel[...], wanted.kernel[...])
  np.testing.assert_array_equal(mine.bias[...], wanted.bias[...])


@pytest.mark.parametrize("flip", [False, True])
def test_transposed_convolutions(flip):
  x = jax.random.normal(jax.random.key(1), (2, 4, 5, 4))
  theirs = nnx.ConvTranspose(
    4, 6, (3, 2), strides=2, transpose_kernel=flip, rngs=nnx.Rngs(0)
  )
  ours = bx.ConvTranspose(
    4, 6, (3, 2), strides=2, transpose_kernel=flip, **RULE, rngs=nnx.Rngs(0)
  )
  kernel = theirs.kernel[...]
  ours.kernel[...] = jnp.swapaxes(kernel, -1, -2) if flip else kernel
  model = converted(theirs, RULE, x)
  np.testing.assert_allclose(model(x), ours(x), rtol=1e-5, atol=1e-6)
  report = bx.count(model, x)
  assert report.macs[1, 1] == bx.count(ours, x).macs[1, 1]


def test_a_kernel_of_any_layout_gets_the_scales_of_its_outputs():
  """Heads and their width are the outputs of a projection."""
  x = jax.random.normal(jax.random.key(1), (2, 3, 4))
  theirs = nnx.LinearGeneral(4, (2, 5), rngs=nnx.Rngs(0))
  ours = bx.Linear(4, 10, **RULE, rngs=nnx.Rngs(0))
  ours.kernel[...] = theirs.kernel[...].reshape(4, 10)
  model = converted(theirs, RULE, x)
  np.testing.assert_array_equal(model(x).reshape(2, 3, 10), ours(x))


def test_embeddings():
  """A table is binarized where a rule gives its weight, not by any method."""
  ids = jnp.array([[1, 2], [0, 3]])
  table = nnx.Embed(4, 3, rngs=nnx.Rngs(0))
  kept = table(ids)
  model = Around(table)
  _, report = bx.binarize(model, {"layer": "reactnet"}, ids)
  assert report.paths == ()
  np.testing.assert_array_equal(model(ids), kept)
  bx.binarize(model, {"layer": {"weight": "ste|channel_l1"}}, ids)
  low_bit, _ = bx.parse("ste|channel_l1", "weight").apply(table.embedding[...])
  np.testing.assert_array_equal(model(ids), low_bit.dequantize()[ids])


def test_tied_kernels_stay_tied():
  class Tied(nnx.Module):
    def __init__(self):
      self.one, self.two, self.head = (
        nnx.Linear(4, 4, rngs=nnx.Rngs(i)) for i in range(3)
      )
      self.stem = nnx.Linear(4, 4, rngs=nnx.Rngs(3))
      self.two.kernel = self.one.kernel

    def __call__(self, x):
      return self.head(self.two(self.one(self.stem(x))))

  model = Tied()
  bx.binarize(model, {"one": RULE, "two": RULE}, jnp.ones((1, 4)))
  assert model.one.kernel is model.two.kernel
  assert isinstance(model.one.kernel, LatentWeight)
  bx.unbinarize(model)
  assert model.one.kernel is model.two.kernel
  assert type(model.one.kernel) is nnx.Param


def test_dtypes_metadata_and_abstract_models():
  def made():
    layer = nnx.Linear(
      4, 6, dtype=jnp.bfloat16, kernel_metadata={"axis": "tensor"},
      preferred_element_type=jnp.float32, rngs=nnx.Rngs(0),
    )  # fmt: skip
    return Around(layer)

  x = jax.ShapeDtypeStruct((2, 4), jnp.float32)
  for model in (made(), nnx.eval_shape(made)):
    _, report = bx.binarize(model, {"layer": RULE}, x)
    assert model.layer.kernel.get_metadata("axis") == "tensor"
    assert report.after.macs[1, 1] == 2 * 4 * 6
    out = nnx.eval_shape(lambda m, x: m(x), model, x)
    assert out.dtype == jnp.float32


def test_a_progress_and_statistics_reach_converted_layers():
  x = jax.random.normal(jax.random.key(1), (8, 4))
  act = "symmetric(bits=4)|ema_bound"
  model = converted(nnx.Linear(4, 3, rngs=nnx.Rngs(0)), {"act": act}, x)
  act = model.layer.dot_general.act
  before = jax.tree.map(np.asarray, nnx.state(act))
  model.train()
  bx.set_progress(model, bx.Progress.at(0, 1, 1.0))
  model(x)
  after = jax.tree.map(np.asarray, nnx.state(act))
  assert jax.tree.leaves(before) != jax.tree.leaves(after)


def test_ends_without_an_example():
  model = networks.ViT(nnx.Rngs(0))
  with pytest.raises(UserError, match="Got 1 such rules"):
    bx.binarize(model, {"head": None, ".*": RULE})
  _, report = bx.binarize(model, {"patch": None, "head": None, ".*": RULE})
  assert len(report.paths) == 12
  assert report.before is None
  assert "ACE" not in str(report)
  assert "<td>blocks.0.up</td>" in report._repr_html_()


def test_an_end_that_is_named_is_binarized():
  model, x = networks.ViT(nnx.Rngs(0)), networks.batch(networks.ViT)
  _, report = bx.binarize(model, {"head": RULE, ".*": None}, x)
  assert report.paths == ("head",)
  share = next(row for row in report.rows() if row[0] == "head")
  macs = 2 * 8 * 4
  assert share[6:] == (f"{256 * macs:,}", f"{macs:,}")


@pytest.mark.parametrize(
  ("layer", "rule", "says"),
  [
    (
      nnx.Conv(4, 3, (1,), mask=jnp.ones((1, 4, 3)), rngs=nnx.Rngs(0)),
      RULE,
      "'layer' (Conv) is not binarized: a convolution with a mask",
    ),
    (
      nnx.Linear(4, 3, dot_general=lambda *a, **k: None, rngs=nnx.Rngs(0)),
      RULE,
      "has a `dot_general` of its own",
    ),
    (
      nnx.ConvTranspose(4, 3, (2,), rngs=nnx.Rngs(0)),
      "xnor_net_pp",
      "conv transpose takes no `output`",
    ),
    (
      nnx.Conv(4, 3, (2,), padding="CIRCULAR", rngs=nnx.Rngs(0)),
      {"weight": "ste", "output": "spatial_l1"},
      "'spatial_l1' needs the padding",
    ),
  ],
)
def test_layers_that_cannot_be_binarized(layer, rule, says):
  model = Around(layer)
  state = nnx.state(model)
  with pytest.raises(UserError) as error:
    bx.binarize(model, {"ends.0": None, "ends.1": None, "layer": rule})
  assert says in str(error.value)
  assert not any(map(modules.is_binarized, modules.layers(model)))
  jax.tree.map(np.testing.assert_array_equal, nnx.state(model), state)


def test_mistakes():
  with pytest.raises(UserError, match="use `binarize_fn`"):
    bx.binarize(lambda x: x, {".*": RULE})
  model = networks.ViT(nnx.Rngs(0))
  with pytest.raises(UserError, match="no layer that `binarize` converted"):
    bx.unbinarize(model)
  with pytest.raises(UserError, match="Did you mean 'patch'"):
    bx.binarize(model, {"pach": RULE}, networks.batch(networks.ViT))
