"""Networks of flax are binarized in place, and made float again."""

import pickle

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

import bnnjax as bx
from bnnjax.errors import UserError
from bnnjax.layers.variables import LatentWeight
from tests.convert import networks
from tests.convert.networks import RULE


def arrays(model):
  """The state of a model without random keys."""
  return jax.tree.map(np.asarray, nnx.state(model, nnx.Not(nnx.RngState)))


@nnx.jit
def forward(model, x):
  return model(x)


def trained(model, x, steps=20):
  """Losses of some steps on two examples, all in one program."""
  model.train()
  bx.set_progress(model, bx.Progress.at(0, 1, 1.0))
  graph, params, rest = nnx.split(model, nnx.Param, ...)

  def loss(params, rest):
    log_p = jax.nn.log_softmax(nnx.merge(graph, params, rest, copy=True)(x))
    return -(log_p[0, 0] + log_p[1, 3]) / 2

  def step(state, _):
    value, slope = jax.value_and_grad(loss)(*state)
    params = jax.tree.map(lambda p, g: p - 0.1 * g, state[0], slope)
    return (params, state[1]), value

  run = jax.jit(lambda state: jax.lax.scan(step, state, length=steps)[1])
  return run((params, rest))


@pytest.mark.parametrize("network", networks.ALL, ids=lambda n: n.__name__)
def test_networks(network):
  """Converted, counted, made float again to the bit, converted, trained."""
  model, x = network(nnx.Rngs(0)), networks.batch(network)
  model.eval()
  before, state = forward(model, x), arrays(model)
  model, report = bx.binarize(model, {".*": RULE}, x)
  assert report.after.ace < report.before.ace
  assert report.after.macs[1, 1] > 0
  first, last = report.layers[0], report.layers[-1]
  assert first.path not in report.paths
  assert last.path == "head"
  assert last.rule.is_float
  bx.unbinarize(model)
  jax.tree.map(np.testing.assert_array_equal, arrays(model), state)
  np.testing.assert_array_equal(forward(model, x), before)
  rules = {first.path: None, last.path: None, ".*": RULE}
  _, again = bx.binarize(model, rules)
  assert set(again.paths) == set(report.paths)
  losses = trained(model, x)
  assert losses[-1] < 0.7 * losses[0]


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
    return networks.Around(layer)

  x = jax.ShapeDtypeStruct((2, 4), jnp.float32)
  for model in (made(), nnx.eval_shape(made)):
    _, report = bx.binarize(model, {"layer": RULE}, x)
    assert model.layer.kernel.get_metadata("axis") == "tensor"
    assert report.after.macs[1, 1] == 2 * 4 * 6
    out = nnx.eval_shape(lambda m, x: m(x), model, x)
    assert out.dtype == jnp.float32


def test_mistakes():
  with pytest.raises(UserError, match="use `binarize_fn`"):
    bx.binarize(lambda x: x, {".*": RULE})
  model = networks.ViT(nnx.Rngs(0))
  with pytest.raises(UserError, match="no layer that `binarize` converted"):
    bx.unbinarize(model)
  with pytest.raises(UserError, match="Did you mean 'patch'"):
    bx.binarize(model, {"pach": RULE}, networks.batch(networks.ViT))
  with pytest.raises(UserError, match="Got 1 such rules"):
    bx.binarize(model, {"head": None, ".*": RULE})


def test_an_end_is_the_last_that_is_called():
  """A table that is read first and last leaves no other layer float."""

  class Tied(nnx.Module):
    def __init__(self):
      self.words = nnx.Embed(5, 4, rngs=nnx.Rngs(0))
      self.mixed = nnx.Linear(4, 4, rngs=nnx.Rngs(0))

    def __call__(self, ids):
      return self.words.attend(self.mixed(self.words(ids)))

  _, report = bx.binarize(Tied(), {".*": RULE}, jnp.zeros((1, 2), int))
  assert report.paths == ("mixed",)


def test_layers_that_are_binarized_count_as_ends():
  model = nnx.Sequential(*[nnx.Linear(4, 4, rngs=nnx.Rngs(0)) for _ in "abcd"])
  bx.binarize(model, {"layers.3": RULE}, jnp.ones((1, 4)))
  _, report = bx.binarize(model, {".*": RULE}, jnp.ones((1, 4)))
  assert report.paths == ("layers.1", "layers.2")


def test_a_second_conversion_says_that_it_is_one():
  model = nnx.Sequential(*[nnx.Linear(4, 4, rngs=nnx.Rngs(0)) for _ in "abc"])
  x, named = jnp.ones((1, 4)), {"layers.0": None, "layers.2": None}
  bx.binarize(model, {".*": RULE}, x)
  says = r"binarized already \(layers\.1\).*call `bx.unbinarize\(model\)` first"
  with pytest.raises(UserError, match=says):
    bx.binarize(model, {".*": RULE}, x)
  with pytest.raises(UserError, match=says):
    bx.binarize(model, {"layers.1": "reactnet"}, x)
  with pytest.raises(UserError, match=says):
    bx.binarize(model, named | {".*": "reactnet"})


def test_rules_for_ends_alone_are_refused():
  model, x = networks.ViT(nnx.Rngs(0)), networks.batch(networks.ViT)
  with pytest.raises(UserError, match="float unless a key is its path: write"):
    bx.binarize(model, {"hea.": RULE}, x)
  _, report = bx.binarize(model, {"blocks.*": RULE, ".*": RULE}, x)
  assert {path.split(".")[0] for path in report.paths} == {"blocks"}


def test_a_class_that_ignores_its_operation_is_refused():
  class Plain(nnx.Linear):
    def __call__(self, x):
      return x @ self.kernel

  model = networks.Around(Plain(4, 4, rngs=nnx.Rngs(0)))
  with pytest.raises(UserError, match="without calling its `dot_general`"):
    bx.binarize(model, {"layer": RULE}, jnp.ones((1, 4)))


def test_variables_are_the_same_objects():
  """Others may hold them, and hooks do not run a second time."""

  class Doubled(nnx.Param):
    def get_value(self, **options):
      return 2 * super().get_value(**options)

  layer = nnx.Linear(4, 4, rngs=nnx.Rngs(0))
  other = nnx.Linear(4, 4, rngs=nnx.Rngs(0))
  other.kernel = Doubled(other.kernel.get_value())
  model = networks.Around(nnx.Sequential(layer, other))
  model.held = nnx.data({"kernel": layer.kernel})
  state, rules = arrays(model), {"layer.*": RULE}
  bx.binarize(model, rules, jnp.ones((1, 4)))
  assert model.held["kernel"] is layer.kernel
  assert type(layer.kernel) is LatentWeight
  assert type(other.kernel) is Doubled
  bx.unbinarize(model)
  assert type(layer.kernel) is nnx.Param
  jax.tree.map(np.testing.assert_array_equal, arrays(model), state)


def test_a_tied_kernel_that_is_binarized_in_two_steps():
  model = nnx.Sequential(*[nnx.Linear(4, 4, rngs=nnx.Rngs(0)) for _ in "abcd"])
  model.layers[2].kernel = model.layers[1].kernel
  for path in ("layers.1", "layers.2"):
    bx.binarize(model, {path: RULE}, jnp.ones((1, 4)))
  bx.unbinarize(model)
  assert type(model.layers[1].kernel) is nnx.Param


def test_a_model_that_fails_after_the_change_is_as_before():
  class Curious(networks.Around):
    def __call__(self, x):
      y = super().__call__(x)
      if isinstance(self.layer.kernel, LatentWeight):
        raise ValueError("binarized")
      return y

  model = Curious(nnx.Linear(4, 4, rngs=nnx.Rngs(0)))
  graph = nnx.graphdef(model)
  with pytest.raises(UserError, match="binarized"):
    bx.binarize(model, {"layer": RULE}, jnp.ones((1, 4)))
  assert nnx.graphdef(model) == graph


def test_a_converted_model_can_be_pickled():
  layers = (nnx.Linear(4, 4, rngs=nnx.Rngs(i)) for i in range(3))
  x = jnp.linspace(-1, 1, 8).reshape(2, 4)
  model, _ = bx.binarize(nnx.Sequential(*layers), {".*": RULE}, x)
  back = pickle.loads(pickle.dumps(model))
  assert (back(x) == model(x)).all()
  bx.unbinarize(back)
  assert type(back.layers[1].kernel) is nnx.Param
