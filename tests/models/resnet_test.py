"""ResNets: sizes as published, layouts, strides, stems, training, errors."""

import dataclasses
import functools

import jax
import numpy as np
import pytest
from flax import nnx

from bnnjax.layers.norm import BatchChannelNorm
from bnnjax.models import resnet
from tests import image_models
from tests.image_models import CIFAR, IMAGENET, report


# torchvision's; of the 20 layers He et al., table 6: 0.27 M.
@pytest.mark.parametrize(
  ("arguments", "parameters"),
  [
    ({"variant": "18"}, 11_689_512),
    ({"variant": "34"}, 21_797_672),
    ({"variant": "50"}, 25_557_032),
    (
      {
        "variant": "20", "shape": CIFAR, "shortcut": "pad", "num_classes": 10,
      },
      269_722,
    ),
  ],
)  # fmt: skip
def test_parameters(arguments, parameters):
  assert image_models.sizes("resnet", **arguments) == parameters


def test_real_to_binary_of_larq_zoo():
  """Parameters with running statistics; MACs of larq's page, three digits."""
  got = report("resnet", layout="real_to_binary")
  assert sum(p.size for p in got.parameters) == 11_995_624
  assert got.bops == pytest.approx(1.68e9, rel=0.003)
  assert got.flops == pytest.approx(1.38e8, rel=0.004)


@pytest.mark.parametrize("layout", ["bireal", "resnet_e"])
def test_a_float_network_without_an_activation_warns(layout):
  build = functools.partial(
    image_models.abstract, "resnet", CIFAR, variant="8", layout=layout
  )
  with pytest.warns(UserWarning, match=f"layout '{layout}' has no non-linea"):
    build(act=None)
  for options in ({"act": None, "activation": "prelu"}, {"weight": None}):
    build(**options)  # a warning would be an error


@pytest.mark.parametrize(
  "layout", sorted(resnet.LAYOUTS.keys() - {"bireal", "resnet_e"})
)
def test_other_layouts_are_float_networks_as_they_are(layout):
  image_models.abstract("resnet", CIFAR, layout=layout, weight=None, act=None)


def test_version_moves_the_stride():
  """Of a block that halves the map: on its first 1x1, or on its 3x3."""
  halving = resnet.VARIANTS["50"].blocks[0]

  def strides(version):
    model = image_models.abstract("resnet", variant="50", version=version)
    return [unit.conv.strides[0] for unit in model.blocks[halving].units]

  assert strides("v1") == [2, 1, 1]
  assert strides("v1.5") == [1, 2, 1]


def test_projection_is_binary_or_float():
  body, float_ = (
    report("resnet", CIFAR, variant="8", projection=p).flops
    for p in ("body", "float")
  )
  assert float_ - body == 16 * 16 * 16 * 32 + 8 * 8 * 32 * 64


def test_every_norm_is_of_the_kind_asked_for():
  model = image_models.abstract(
    "resnet", CIFAR, variant="8", layout="bireal", norm="batch_channel"
  )
  modules = [m for _, m in nnx.iter_modules(model)]
  assert not any(isinstance(m, nnx.BatchNorm) for m in modules)
  found = [m for m in modules if isinstance(m, BatchChannelNorm)]
  # The stem, six convolutions, and two projections of shortcuts.
  assert sorted(len(m.scale) for m in found) == 3 * [16] + 3 * [32] + 3 * [64]


def test_small_images_take_the_small_stem():
  kernel = {
    shape: image_models.abstract("resnet", shape, variant="8").stem[0].conv
    for shape in (IMAGENET, CIFAR)
  }
  assert kernel[IMAGENET].kernel.shape[:2] == (7, 7)
  assert kernel[CIFAR].kernel.shape[:2] == (3, 3)


@pytest.mark.parametrize(
  ("layout", "shortcuts"),
  [("plain", 3), *((x, 6) for x in resnet.LAYOUTS if x != "plain")],
)
def test_a_shortcut_for_each_block_or_convolution(layout, shortcuts):
  model = image_models.abstract("resnet", CIFAR, variant="8", layout=layout)
  *blocks, _ = model.blocks  # the last is the activation in front of the head
  assert len(blocks) == shortcuts
  per_conv = dataclasses.asdict(resnet.LAYOUTS[layout])["per_conv"]
  assert {len(block.units) for block in blocks} == {1 if per_conv else 2}


@pytest.mark.parametrize(
  "arguments",
  [
    *({"variant": "8", "layout": layout} for layout in resnet.LAYOUTS),
    {"variant": "50", "width": 0.125},
  ],
)
def test_both_signs_occur_in_binary_layers(arguments, monkeypatch):
  """A sign after ReLU would see one value only. First blocks, in training."""
  means = image_models.mean_signs(monkeypatch, "resnet", **arguments)
  assert np.abs(means).max() < 0.95


def test_activation_follows_the_alphabet():
  def relu(**arguments):
    model = image_models.abstract("resnet", variant="8", **arguments)
    return model.blocks[0].activation.function is jax.nn.relu

  assert relu(weight=None, act=None)
  assert relu(weight="ste", act=None)
  assert relu(weight="ste", act="symmetric(bits=4)|ema_bound")
  assert not relu(weight="ste", act="ste")


def test_one_step():
  """Every parameter gets a finite gradient, every latent weight a signal."""
  image_models.check_gradients(
    "resnet", variant="8", width=0.25, layout="react"
  )


@pytest.mark.parametrize(
  ("arguments", "message"),
  [
    ({"variant": "19"}, "Unknown ResNet variant '19'. Did you mean"),
    ({"layout": "bi_real"}, "Unknown ResNet layout 'bi_real'. Did you"),
    ({"version": "v2"}, "Unknown ResNet version 'v2'"),
    ({"projection": "real"}, "Unknown projection 'real'"),
    ({"shortcut": "convolution"}, "Unknown shortcut 'convolution'"),
    ({"activation": "rellu"}, "Unknown (activation|step).*'rellu'"),
    (
      {"variant": "50", "layout": "bireal"},
      "ResNet-50 has bottlenecks.*variant '18'",
    ),
  ],
)
def test_errors(arguments, message):
  with pytest.raises(ValueError, match=message):
    nnx.eval_shape(lambda: image_models.build("resnet", **arguments))
