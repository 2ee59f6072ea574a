"""`train()`, `eval()`, `set_progress`, and what a deployed gradient warns of."""

import functools
import re
import warnings

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from flax import nnx

import bnnjax as bx
from bnnjax import models
from bnnjax.core import registry
from bnnjax.core.progress import DEPLOYED, Mode, Progress
from bnnjax.core.scale import Measured, scale
from bnnjax.layers.blocks import LayerDefaults, Unit
from bnnjax.layers.linear import Linear
from bnnjax.layers.mode import RunProgress, mode_of_model, set_progress
from bnnjax.layers.norm import BatchChannelNorm, BatchNorm
from bnnjax.layers.stack import Stack
from tests.layers.small_layers import Residual

METHODS = registry.registered("method")
X = jnp.asarray(np.random.default_rng(0).normal(size=(4, 8)), jnp.float32)
LABEL = jnp.array([0, 1, 1, 0])
MIDDLE = Progress.at(5, 10, 2.0)
TOLD = "A gradient was taken through .*`model.train\\(\\)`.*set_progress"


def make(method, **options):
  layer = Linear(8, 2, weight=method, act=method, **options, rngs=nnx.Rngs(0))
  if isinstance(layer.kernel, nnx.Param):
    layer.kernel[...] = layer.kernel[...] + 0.1  # some transform moves it back
  return layer


def loss_of(layer, x, *mode):
  logits = layer(x, *mode)
  return optax.softmax_cross_entropy_with_integer_labels(logits, LABEL).mean()


def explicit(layer, mode):
  """Loss, gradients of weights and input, new statistics: as our step does."""
  graphdef, params, rest = nnx.split(layer, nnx.Param, ...)

  def loss(params, x):
    model = nnx.merge(graphdef, params, rest)
    value = loss_of(model, x, *mode)
    return value, nnx.split(model, nnx.Param, ...)[2]

  (value, rest), grads = jax.value_and_grad(loss, argnums=(0, 1), has_aux=True)(
    params, X
  )
  rest = drop_progress(nnx.to_pure_dict(rest))
  return value, nnx.to_pure_dict(grads[0]), grads[1], rest


def drop_progress(tree):
  if not isinstance(tree, dict):
    return tree
  kept = {k: drop_progress(v) for k, v in tree.items() if k != "progress"}
  return {k: v for k, v in kept.items() if not isinstance(v, dict) or v}


def equal(got, want):
  same = jax.tree.structure(got) == jax.tree.structure(want)
  return same and all(
    np.array_equal(a, b)
    for a, b in zip(jax.tree.leaves(got), jax.tree.leaves(want))
  )


@functools.cache
def heard(method):
  """What one method gives in the modes, and the warnings of the first."""
  with warnings.catch_warnings(record=True) as caught:
    warnings.simplefilter("always")
    plain = [explicit(make(method), ()) for _ in range(2)]
  assert equal(*plain)
  deployed = explicit(make(method), (DEPLOYED,))
  progress = [Progress.at(step, 10, 2.0) for step in (0, 5)]
  training = [explicit(make(method), (Mode.training(p),)) for p in progress]
  return plain[0], deployed, training, caught


@pytest.mark.parametrize("method", METHODS)
def test_a_plain_loop_equals_the_explicit_mode(method):
  """Two optax steps: losses, gradients, statistics; then `eval`."""
  layer, reference = make(method), make(method)
  optimizer = optax.adam(0.01)
  opt = [optimizer.init(nnx.state(m, nnx.Param)) for m in (layer, reference)]
  layer.train()

  @nnx.jit
  def by_state(layer):
    return nnx.value_and_grad(loss_of)(layer, X)

  @nnx.jit
  def by_argument(layer, progress):
    return nnx.value_and_grad(loss_of)(layer, X, Mode.training(progress))

  for step in range(2):
    progress = Progress.at(step, 2, 2.0)
    set_progress(layer, progress)
    value, grads = by_state(layer)
    want, want_grads = by_argument(reference, progress)
    assert value == want
    assert equal(nnx.to_pure_dict(grads), nnx.to_pure_dict(want_grads))
    for at, (m, g) in enumerate(((layer, grads), (reference, want_grads))):
      updates, opt[at] = optimizer.update(g, opt[at], nnx.state(m, nnx.Param))
      nnx.update(m, optax.apply_updates(nnx.state(m, nnx.Param), updates))
  mine, theirs = (
    drop_progress(nnx.to_pure_dict(nnx.state(m))) for m in (layer, reference)
  )
  assert equal(mine, theirs)
  np.testing.assert_array_equal(  # an explicit mode wins
    layer(X, DEPLOYED), reference(X)
  )
  layer.eval()
  np.testing.assert_array_equal(layer(X), reference(X))
  training = Mode.training(MIDDLE)
  np.testing.assert_array_equal(layer(X, training), reference(X, training))


@pytest.mark.parametrize("method", METHODS)
def test_a_deployed_gradient_warns_where_training_differs(method):
  """Exactly there, once for two passes of a layer; numbers stay the same."""
  plain, deployed, training, caught = heard(method)
  assert equal(plain, deployed)
  differs = not all(equal(deployed, t) for t in training)
  assert len(caught) == differs, [str(w.message) for w in caught]
  for w in caught:
    assert re.search(TOLD, str(w.message))
    assert w.filename == __file__, "the caller's line is shown"


def test_the_warning_knows_both_kinds_of_method():
  counts = {len(heard(method)[3]) for method in METHODS}
  assert counts == {0, 1}


def irnet(**options):
  return make("irnet", **options)


def grad(layer):
  return nnx.grad(lambda m: m(X).sum())(layer)


def test_warns_once_for_each_state_of_the_filters():
  net = nnx.Sequential(
    irnet(), nnx.relu, Linear(2, 2, weight="fda", rngs=nnx.Rngs(0))
  )
  for _ in range(2):
    with pytest.warns(UserWarning, match=TOLD) as caught:
      grad(net), grad(net)
    assert len(caught) == 1
  net.eval()
  of_jit = jax.grad(jax.jit(lambda w: irnet_of(w).sum()))
  with pytest.warns(UserWarning, match=TOLD) as caught:
    nnx.jit(grad)(net), of_jit(jnp.ones((8, 2)))
  assert len(caught) == 1


def irnet_of(kernel):
  layer = irnet()
  layer.kernel[...] = kernel
  return layer(X)


def test_neither_inference_nor_cost_nor_an_explicit_mode_warns():
  layer = irnet()
  layer(X), nnx.jit(lambda m: m(X))(layer)
  bx.count(layer, X)
  nnx.grad(lambda m: m(X, DEPLOYED).sum())(layer)
  # A teacher whose gradient nobody takes.
  student = make("ste")
  nnx.grad(lambda m: ((m(X) - layer(X)) ** 2).sum())(student)


@pytest.mark.parametrize(
  "layer",
  [
    lambda r: BatchNorm(8, rngs=r),
    lambda r: BatchChannelNorm(8, groups=2),
    lambda r: Linear(8, 8, act="symmetric(bits=8)|ema_bound", rngs=r),
    lambda r: Linear(8, 8, grad="dorefa_grad(bits=2)", rngs=r),
    lambda r: Stack(lambda rngs: Residual(rngs, "recu"), 2, rngs=r),
  ],
)
def test_other_parts_warn_and_train(layer, rngs):
  layer = layer(rngs)
  with pytest.warns(UserWarning, match=TOLD):
    grad(layer)
  layer.train()
  set_progress(layer, MIDDLE)
  grad(layer)
  layer.eval()
  layer(X)


def test_a_user_scale_that_asks_for_the_mode_is_noticed(rngs):
  """The warning follows from what is asked, not from a list of names."""

  with registry.restored():

    @scale(init=lambda x, **_: ({}, {}))
    def only_in_training(x, params, stats, mode):
      del x, params
      return Measured(jnp.asarray(2.0 if mode.train else 1.0), stats)

    layer = Linear(8, 2, weight="ste|only_in_training", rngs=rngs)
  with pytest.warns(UserWarning, match="the weight binarizer 'ste'"):
    grad(layer)


def test_without_a_progress_it_says_so_once():
  """Schedules stand at their end, the rest trains."""
  layer = irnet()
  layer.train()
  with pytest.warns(UserWarning, match="told none.*set_progress") as caught:
    got, _ = grad(layer), grad(layer)
  assert len(caught) == 1
  set_progress(layer, Progress.at(1, 1, 1.0))
  assert equal(nnx.to_pure_dict(got), nnx.to_pure_dict(grad(layer)))
  layer = make("pokebnn")
  layer.train()
  with pytest.raises(ValueError, match="starts to quantize.*set_progress"):
    layer(X)
  layer = Linear(
    8, 2, weight="dorefa", grad="dorefa_grad(bits=2)", rngs=nnx.Rngs(0)
  )
  layer.train()
  with pytest.warns(UserWarning, match="the gradient quantizer 'dorefa_grad'"):
    grad(layer)


def test_explicit_training_without_a_progress_is_refused():
  with pytest.raises(ValueError, match=r"Mode\.training\(progress\)"):
    irnet()(X, Mode.training())


def reference_grads(progress):
  return explicit(irnet(), (Mode.training(progress),))[1]


def test_nnx_jit_traces_once_while_progress_moves():
  layer, traces = irnet(), []
  optimizer = nnx.Optimizer(layer, optax.sgd(0.0), wrt=nnx.Param)
  layer.train()

  @nnx.jit
  def step(layer, optimizer):
    traces.append(1)
    grads = nnx.grad(loss_of)(layer, X)
    optimizer.update(layer, grads)
    return grads

  for at in range(3):
    set_progress(layer, Progress.at(at, 10, 2.0))
    got = step(layer, optimizer)
    want = reference_grads(Progress.at(at, 10, 2.0))
    for a, b in zip(jax.tree.leaves(got), jax.tree.leaves(want)):
      np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-7)
  assert len(traces) == 1


def test_plain_jit_traces_once_while_progress_moves():
  """From `nnx.split`; the traced step sets the progress, state is donated."""
  layer, traces = irnet(), []
  layer.train()
  set_progress(layer, Progress.at(0, 10, 2.0))
  graphdef, params, rest = nnx.split(layer, nnx.Param, ...)

  @functools.partial(jax.jit, donate_argnums=1)
  def step(params, rest, at):
    traces.append(1)

    def loss(params):
      model = nnx.merge(graphdef, params, rest)
      set_progress(model, Progress.at(at, 10, 2.0))
      return loss_of(model, X), nnx.split(model, nnx.Param, ...)[2]

    return jax.grad(loss, has_aux=True)(params)

  for at in range(3):
    got, rest = step(params, rest, at)
    want = reference_grads(Progress.at(at, 10, 2.0))
    for a, b in zip(jax.tree.leaves(got), jax.tree.leaves(want)):
      np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-7)
  assert len(traces) == 1


def test_progress_is_no_parameter():
  layer = irnet()
  before = bx.count(layer, X)
  set_progress(layer, MIDDLE)
  assert isinstance(layer.weight.progress, RunProgress)
  assert layer.act.progress is layer.weight.progress
  assert len(nnx.to_flat_state(nnx.state(layer, nnx.Param))) == 2
  after = bx.count(layer, X)
  assert after.weight_bytes() == before.weight_bytes()
  assert [p.path for p in after.parameters] == [
    p.path for p in before.parameters
  ]
  with pytest.raises(TypeError, match=r"Progress\.at.*got 0\.5"):
    set_progress(layer, 0.5)


IMAGE = jnp.zeros((2, 32, 32, 3))
TOKENS = jnp.ones((2, 8), jnp.int32)
ANNEALED = {"weight": "irnet", "act": "recu"}
NARROW = {"stem_features": 8, "init_features": 4}
FAMILIES = {
  "vit": (IMAGE, {"features": 16, "heads": 2, "blocks": 1, "patch": 16}),
  "bert": (TOKENS, {"features": 64, "blocks": 1, "vocab": 11}),
  "decoder": (TOKENS, {"features": 64, "heads": 2, "blocks": 2, "vocab": 11}),
  "mamba": (TOKENS, {"features": 64, "blocks": 2, "vocab": 11}),
  "resnet": (IMAGE, {"variant": "8"}),
  "pokebnn": (IMAGE, {"stages": ((8, 1),), "patch": 1, **NARROW}),
  "mlp": (IMAGE, {"hidden": (8, 8)}),
}


def family(name):
  x, options = FAMILIES[name]
  low = {} if name == "pokebnn" else ANNEALED
  fixed = {"num_classes": 3, "image_shape": x.shape[1:]}
  config = {"name": name, **low, **options}
  build = lambda rngs: models.build(config, rngs=rngs, **fixed)  # noqa: E731
  return x, models.abstract(build)


@pytest.mark.parametrize("name", FAMILIES)
def test_families_train_by_the_same_program(name):
  """Told or by argument, loss, gradients and statistics are one jaxpr.

  An explicit mode is given to a model that was told the opposite.
  """
  x, model = family(name)
  model.train()
  set_progress(model, MIDDLE)
  progress = mode_of_model(model).progress
  assert progress.step == MIDDLE.step

  def program(tell, *arguments):
    tell(model)
    graphdef, params, rest = nnx.split(model, nnx.Param, ...)

    def step(params, rest):
      model = nnx.merge(graphdef, params, rest)

      def loss(model):
        progress = models_progress(model)
        return jnp.sum(model(x, *(a(progress) for a in arguments)))

      value, grads = nnx.value_and_grad(loss)(model)
      return value, grads, nnx.split(model, nnx.Param, ...)[2]

    text = str(jax.make_jaxpr(step)(params, rest))
    return re.sub(r"0x[0-9a-f]+", "", text)

  by_argument = program(lambda m: m.eval(), Mode.training)
  assert program(lambda m: m.train()) == by_argument
  deployed = program(lambda m: m.train(), lambda progress: DEPLOYED)
  assert deployed != by_argument
  with pytest.warns(UserWarning, match=TOLD) as caught:
    assert program(lambda m: m.eval()) == deployed
  assert len(caught) == 1


def models_progress(model):
  (progress,) = {id(p.progress): p.progress for p in parts_of(model)}.values()
  return progress.get_value()


def parts_of(model):
  return [m for _, m in nnx.iter_modules(model) if hasattr(m, "progress")]


def test_statistics_move_in_a_stack_with_one_progress():
  """A told stack equals its layers, each told; the slices share a progress."""
  stack = Stack(lambda r: Residual(r, "irnet"), 2, rngs=nnx.Rngs(0))
  stack.train()
  set_progress(stack, MIDDLE)
  other = nnx.clone(stack)
  y, want = stack(X), other(X, Mode.training(MIDDLE))
  np.testing.assert_array_equal(y, want)
  means = [s.layer.norm.mean[...] for s in (stack, other)]
  np.testing.assert_array_equal(*means)
  assert np.all(np.abs(means[0]).max(axis=1) > 0), "both layers moved"
  assert stack.layer.linear.act.progress.get_value().step.shape == ()
  set_progress(stack, Progress.at(9, 10, 2.0))
  grads = [
    nnx.grad(lambda s, *m: (X * s(X, *m)).sum())(s, *m).layer.linear.kernel[...]
    for s, m in ((stack, ()), (other, (Mode.training(MIDDLE),)))
  ]
  assert not np.allclose(*grads), "the schedule moved on"


def test_parts_of_flax_follow_the_same_call(rngs):
  """Dropout and a batch norm that the user adds, and a frozen part."""

  class Net(nnx.Module):
    def __init__(self, rngs):
      self.low = irnet()
      self.dropout = nnx.Dropout(0.5, rngs=rngs)
      self.theirs = nnx.BatchNorm(2, rngs=rngs)
      self.ours = BatchNorm(2, rngs=rngs)

    def __call__(self, x):
      return self.ours(self.theirs(self.dropout(self.low(x))))

  net = Net(rngs)
  net.theirs.scale[...] *= 2  # a variance of 1 would teach ours nothing
  net.train()
  set_progress(net, MIDDLE)
  net(X)
  for norm in (net.theirs, net.ours):
    assert np.any(norm.var[...] != 1)
  net.eval()
  np.testing.assert_array_equal(net(X), net(X))
  assert np.any(nnx.view(net, use_running_average=False)(X) != net(X))
  before = net.ours.var[...]
  net.low.train()
  net(X)
  np.testing.assert_array_equal(net.ours.var[...], before)
  with pytest.raises(ValueError, match="pass `mode=`"):
    mode_of_model(net)
  view = nnx.view(net.low, deterministic=True)
  assert not view.trains
  assert net.low.trains


def test_another_second_argument_is_refused():
  for layer in (make("ste"), BatchNorm(8, rngs=nnx.Rngs(0))):
    with pytest.raises(TypeError, match=r"is a `Mode`.*got True"):
      layer(X, True)


def test_a_unit_passes_on_that_nothing_was_given(rngs):
  """Norm and convolution in a container of ours are told alike."""
  unit = Unit(
    "conv norm", 2, 2, defaults=LayerDefaults("irnet", "recu"), rngs=rngs
  )
  x = jnp.asarray(np.random.default_rng(1).normal(size=(1, 4, 4, 2)), "float32")
  unit.train()
  set_progress(unit, MIDDLE)
  np.testing.assert_array_equal(
    unit(x), nnx.clone(unit)(x, Mode.training(MIDDLE))
  )
  assert np.any(unit.norm.mean[...] != 0)
