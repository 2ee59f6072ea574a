"""Recipes of papers on images: the spec of a config, and the authors' facts.

Each fact is that of the released code (or the paper's, if it says so). Networks
are abstract, and nothing is trained; `configs_test.py` trains them.
"""

import functools

import jax
import numpy as np
import pytest
from flax import nnx

from bnnjax.layers.binarize import Binarize
from bnnjax.layers.norm import BatchChannelNorm
from bnnjax.layers.shortcut import PadShortcut, Residual
from bnnjax.train import config_file
from bnnjax.train.plan import Plan

CIFAR = "configs/cifar10_resnet.py:recipe={}"
SMALL = "configs/fashion_mnist_resnet.py:{}"


@functools.cache
def plan(spec):
  return Plan(config_file.read(spec))


def model(spec, stage=-1):
  return plan(spec).networks[stage].abstract


def binarizers(model, role):
  """Binarizers of weights or inputs; `None` of float ones."""
  modules = [m for _, m in nnx.iter_modules(model)]
  return [
    m.binarizer for m in modules if isinstance(m, Binarize) and m.role == role
  ]


def low_bit(model, role="weight"):
  """The one binarizer of all low-bit layers, and their number."""
  found = [b for b in binarizers(model, role) if b is not None]
  assert len(set(found)) == 1
  return found[0], len(found)


def steps(unit):
  return " ".join(name for name, _ in unit.steps)


# reste: README and utils/arguments.py. biper: run_stg1.sh, run_stg2.sh. recu:
# README. irnet: trainer.py, the arguments' defaults. Epochs of warm-up.
@pytest.mark.parametrize(
  ("recipe", "batch", "stages"),
  [
    ("reste", 256, [(1000, 0.1, 1e-4, 5)]),
    ("biper", 256, [(600, 0.021, 0.0016, 5), (300, 0.0037, 0.00016, 5)]),
    ("recu", 256, [(600, 0.1, 5e-4, 5)]),
    ("irnet", 128, [(400, 0.1, 1e-4, 0)]),
  ],
)
def test_optimizer_rate_schedule_and_augmentation(recipe, batch, stages):
  """In a run of one step per epoch."""
  made = plan(CIFAR.format(recipe))
  config = made.config
  assert config.data.batch_size == batch
  assert config.data.augment == ("pad_crop(4)", "flip")
  epochs = [epochs for epochs, *_ in stages]
  assert config.epochs == sum(epochs)
  assert len(made.settings) == len(stages)
  built = made.stages(sum(epochs))
  assert [s.stop - s.start for s in built] == epochs
  for stage, setting, (length, lr, decay, warmup) in zip(
    built, made.settings, stages, strict=True
  ):
    assert setting.optim["name"] == "sgd"
    assert setting.optim["options"] == {"momentum": 0.9}
    assert setting.optim["weight_decay"] == decay
    assert setting.optim["decay_latent"]
    half = (length - warmup) // 2
    at = [stage.start + warmup, stage.start + warmup + half, stage.stop]
    rates = [stage.rates(step)["lr"] for step in at]
    cosine = lr * (1 + np.cos(np.pi * half / (length - warmup))) / 2
    np.testing.assert_allclose(rates, [lr, cosine, 0], rtol=1e-5, atol=1e-8)


@pytest.mark.parametrize(
  ("recipe", "unit", "stem", "activation", "pooled", "parameters"),
  [
    # That of He et al. has 269,722; the norm of the head 128; ReCU and BiPer
    # also have a scale for each of the 672 binary output channels.
    ("reste", "conv relu norm", "conv relu norm", "identity", False, 269_850),
    ("irnet", "conv norm", "conv norm hardtanh", "hard_tanh", False, 269_850),
    ("recu", "conv norm", "conv norm hardtanh", "hard_tanh", True, 270_522),
    ("biper", "conv norm", "conv norm hardtanh", "hard_tanh", True, 270_522),
  ],
)
def test_resnet20_of_the_authors(
  recipe, unit, stem, activation, pooled, parameters
):
  network = model(CIFAR.format(recipe))
  blocks = [b for b in network.blocks if isinstance(b, Residual)]
  assert [len(b.units) for b in blocks] == [1] * 18  # one for a convolution
  assert {steps(b.units[0]) for b in blocks} == {unit}
  assert steps(network.stem[0]) == stem
  assert {b.activation.function.__name__ for b in blocks} == {activation}
  changes = [b.shortcut for b in blocks if isinstance(b.shortcut, PadShortcut)]
  assert [(s.missing, s.strides) for s in changes] == [(16, 2), (32, 2)]
  assert {s.pool is not None for s in changes} == {pooled}
  assert isinstance(network.head_norm, nnx.BatchNorm)
  assert plan(CIFAR.format(recipe)).config.model.init == "he_normal"
  assert low_bit(network)[1] == low_bit(network, "act")[1] == 18
  assert network.stem[0].conv.weight.binarizer is None
  assert network.head.weight.binarizer is None
  sizes = [x.size for x in jax.tree.leaves(nnx.state(network, nnx.Param))]
  assert sum(sizes) == parameters


def test_reste():
  """`o` grows by a quarter of a cosine to 3, t = 1.5, m = 0.1; scale of a layer."""
  network = model(CIFAR.format("reste"))
  weight, act = low_bit(network)[0], low_bit(network, "act")[0]
  for made in (weight, act):
    hp = made.estimator.hyper(**dict(made.estimator_hp))
    assert made.estimator.name == "reste"
    assert (hp["o"].schedule.name, hp["o"].ends) == ("quarter_cosine", (1, 3))
    assert (hp["t"], hp["m"]) == (1.5, 0.1)
  assert (weight.scale.name, weight.scale_gradient) == ("tensor_l1", "full")


def test_biper():
  """The sine, then its sign; each stage its penalty; one network otherwise."""
  spec = CIFAR.format("biper")
  (first, _), (second, _) = (low_bit(model(spec, stage)) for stage in (0, 1))
  for made, stage in ((first, 1.0), (second, 2.0)):
    hp = made.estimator.hyper(**dict(made.estimator_hp))
    assert (hp["freq"], hp["stage"]) == (20.0, stage)
    assert dict(made.scale_hp) == {"init": "uniform"}
  assert (first.is_soft, second.is_soft) == (True, False)
  penalties = [s.optim["penalty"] for s in plan(spec).settings]
  assert penalties == [
    "sine(freq=20.0,tau=0.037)",
    "sine(freq=20.0,tau=0.0468)",
  ]
  assert [s.restart for s in plan(spec).settings] == [True, True]
  assert low_bit(model(spec), "act")[0].transform.name == "example_std"


def test_recu():
  weight, _ = low_bit(model(CIFAR.format("recu")))
  tau = dict(weight.transform_hp)["tau"]
  assert (weight.transform.name, tau.schedule.name) == ("recu", "exponential")
  np.testing.assert_allclose(tau.ends, (0.85, 0.99), rtol=1e-6)
  assert dict(weight.scale_hp) == {"init": "uniform"}
  assert low_bit(model(CIFAR.format("recu")), "act")[0].transform.name == (
    "example_std"
  )


def test_irnet():
  """The ResNet-20 trainer's t, 0.001 to 10; a power of two as scale."""
  weight, _ = low_bit(model(CIFAR.format("irnet")))
  t = dict(weight.estimator_hp)["t"]
  assert (weight.transform.name, t.schedule.name) == (
    "standardize",
    "geometric",
  )
  np.testing.assert_allclose(t.ends, (0.001, 10.0), rtol=1e-5)
  assert low_bit(model(CIFAR.format("irnet")), "act")[0].estimator_hp == (
    weight.estimator_hp
  )
  assert dict(weight.scale_hp) == {"pow2": True}
  assert weight.scale_gradient == "multiply"


@pytest.mark.parametrize("method", ["float", "ste"])
def test_ws_bcn(method):
  """Micro-batches: estimated statistics in every norm, standardized weights."""
  norm = "batch_channel(statistics='estimate')"
  network = model(SMALL.format(f"method={method},norm={norm},ws"))
  norms = [m for _, m in nnx.iter_modules(network)]
  assert not any(isinstance(m, nnx.BatchNorm) for m in norms)
  norms = [m for m in norms if isinstance(m, BatchChannelNorm)]
  assert {m.statistics for m in norms} == {"estimate"}
  assert {(len(m.scale), m.groups) for m in norms} == {
    (16, 16), (32, 32), (64, 32)
  }  # fmt: skip
  body = [
    b.units[0].conv.weight.binarizer
    for b in network.blocks
    if isinstance(b, Residual)
  ]
  assert {b.transform.name for b in body} == {"standardize"}
  assert {b.is_float for b in body} == {method == "float"}


@pytest.mark.parametrize(
  ("method", "weight", "act"),
  [
    # Mean |w| of a channel; polynomial and clipped identity as surrogates.
    ("bireal", "ste|channel_l1", "approx_sign|None"),
    ("xnor_net", "ste|channel_l1", "ste|None"),
    # Mean |w| of the layer, activations of 2 bits.
    ("dorefa", "ste|tensor_l1", "dorefa_act|None"),
    ("reactnet", "ste|channel_l1", "shift > approx_sign|None"),
  ],
)
def test_binarizers_in_the_common_network(method, weight, act):
  """Six convolutions of the body; stem, head and shortcuts have 8 bits."""
  network = model(SMALL.format(f"method={method}"))
  layers = [b.units[0].conv for b in network.blocks if isinstance(b, Residual)]
  assert len(layers) == 6

  def text(role):
    (made,) = {getattr(layer, role).binarizer for layer in layers}
    front = f"{made.transform.name} > " if made.transform else ""
    return f"{front}{made.estimator.name}|{made.scale and made.scale.name}"

  assert text("weight") == weight
  assert text("act") == act
  for edge in (network.stem[0].conv, network.head):
    assert edge.weight.binarizer.kind.bits == edge.act.binarizer.kind.bits == 8


def test_xnor_net_projects_its_weights():
  config = plan(SMALL.format("method=xnor_net")).config
  assert config.optim.projection == "center_clamp"


def test_dorefa_quantizes_gradients_to_6_bits():
  network = model(SMALL.format("method=dorefa"))
  layer = network.blocks[0].units[0].conv
  assert layer.grad is not None
  assert dict(layer.act.binarizer.estimator_hp) == {"bits": 2}


def test_pokebnn():
  """pokebnn_config.py: batch 8,192, 800 epochs of which 50 at rate 0."""
  made = plan("configs/imagenet_pokebnn.py:teacher=runs/t")
  config = made.config
  assert (config.data.batch_size, config.epochs) == (8192, 800.0)
  assert config.optim.weight_decay == 5e-5
  assert config.optim.decay_latent
  (stage,) = made.stages(800)
  rates = [stage.rates(step)["lr"] for step in (0, 375, 750, 799)]
  np.testing.assert_allclose(rates, [6.4e-4, 3.2e-4, 0, 0], atol=1e-10)
  assert config.events == ((7500 / 124_800, "freeze_bounds"),)
  found = [b for b in binarizers(made.networks[0].abstract, "weight") if b]
  assert {b.start for b in found if b.kind.bits == 1} == {50 / 800}
  assert made.task.distillation.label_weight == 0


def test_reactnet():
  """Two steps of 256 epochs: binary activations alone, then weights too."""
  spec = "configs/imagenet_reactnet.py:variant=A,teacher=runs/t"
  made = plan(spec)
  first, second = made.settings
  assert made.config.epochs == 2 * 256
  assert [s.optim["weight_decay"] for s in made.settings] == [1e-5, 0.0]
  assert [s.optim["lr"] for s in made.settings] == [5e-4, 5e-4]
  assert (first.restart, second.restart) == (True, True)
  assert not any(binarizers(model(spec, 0), "weight"))
  assert low_bit(model(spec, 0), "act")[1] == low_bit(model(spec))[1]
  weight, _ = low_bit(model(spec))
  assert (weight.estimator.name, weight.scale.name) == ("ste", "channel_l1")


def test_bivit():
  """Attention first, the MLPs later; weights centred, with a trained scale."""
  made = plan("configs/fashion_mnist_vit.py:method=bivit")
  first = made.settings[0].model
  assert (first["mlp_weight"], first["mlp_act"]) == ("float", "float")
  weight, _ = low_bit(made.networks[-1].abstract)
  assert (weight.transform.name, weight.scale.name) == ("center", "learned")
  probs = [
    m.low_probs.binarizer.estimator.name
    for _, m in nnx.iter_modules(made.networks[-1].abstract)
    if hasattr(m, "low_probs")
  ]
  assert set(probs) == {"softmax_aware"}
