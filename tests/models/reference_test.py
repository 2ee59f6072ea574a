"""Reference networks: sizes, sign values, training, errors."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from bnnjax import models
from bnnjax.core import contract
from bnnjax.core.progress import Mode
from bnnjax.core.quantized import Quantized
from bnnjax.cost import count

IMAGENET, CIFAR = (224, 224, 3), (32, 32, 3)


def build(name, shape=IMAGENET, **arguments):
  return models.build(
    {"name": name, **arguments}, rngs=nnx.Rngs(0), image_shape=shape
  )


@functools.cache
def report(name, shape=IMAGENET, **arguments):
  model = nnx.eval_shape(lambda: build(name, shape, **arguments))
  return count(model, jax.ShapeDtypeStruct((1, *shape), jnp.float32))


# Trained parameters of the networks as published: torchvision (ResNets,
# MobileNet-V2), timm (DeiT), keras (MobileNet-V1) and larq/zoo, there without
# running statistics and, for QuickNet, without the fixed blur kernels.
PARAMETERS = [
  ("resnet", {"variant": "18"}, 11_689_512),
  ("resnet", {"variant": "34"}, 21_797_672),
  ("resnet", {"variant": "50"}, 25_557_032),
  ("mobilenet", {"variant": "v1"}, 4_231_976),
  ("mobilenet", {"variant": "v2"}, 3_504_872),
  ("meliusnet", {"variant": "22"}, 6_944_584),
  ("quicknet", {"variant": "large"}, 23_342_248 - 4032 - 32),
  ("vit", {"variant": "tiny"}, 5_717_416),
  ("vit", {"variant": "small"}, 22_050_664),
  ("vit", {"variant": "base"}, 86_567_656),
]


@pytest.mark.parametrize(("name", "arguments", "parameters"), PARAMETERS)
def test_parameters(name, arguments, parameters):
  assert report(name, **arguments).parameter_count == parameters


# Parameters with running statistics and MACs of larq's pages, three digits.
LARQ = [
  ("resnet", {"layout": "real_to_binary"}, 11_995_624, 1.68e9, 1.38e8),
  ("binary_densenet", {"variant": "37"}, 8_734_120, 4.51e9, 2.00e8),
  ("binary_densenet", {"variant": "37_dilated"}, 8_734_120, 7.77e9, 4.53e8),
  ("binary_densenet", {"variant": "45"}, 13_939_240, 6.43e9, 2.44e8),
  ("meliusnet", {}, None, 4.62e9, 1.36e8),
  ("quicknet", {"variant": "large"}, None, 3.70e9, None),
]


@pytest.mark.parametrize(("name", "arguments", "stored", "bops", "flops"), LARQ)
def test_larq_zoo(name, arguments, stored, bops, flops):
  got = report(name, **arguments)
  if stored:
    assert sum(p.size for p in got.parameters) == stored
  assert got.bops == pytest.approx(bops, rel=0.003)
  if flops:
    assert got.flops == pytest.approx(flops, rel=0.004)


def test_reactnet_b_and_c():
  """Binary widening convolutions of A, half their MACs each, become float."""
  a, b, c = (report("reactnet", variant=v) for v in "ABC")
  widening = 5 * 2 * 112 * 112 * 32 * 32
  assert a.bops - c.bops == a.bops - b.bops == widening
  assert c.flops - a.flops == widening
  assert b.flops - a.flops == widening // 4


def test_version_moves_the_stride():
  float_ = {"variant": "50", "weight": None, "act": None}
  assert report("resnet", **float_, version="v1").total_macs == 3857973248
  assert report("resnet", **float_, version="v1.5").total_macs == 4089184256


def test_projection_is_binary_or_float():
  body, float_ = (
    report("resnet", projection=p).flops for p in ("body", "float")
  )
  assert float_ - body == 3 * 28 * 28 * 64 * 128


def test_small_images_take_the_small_stem():
  kernel = {
    shape: report("resnet", shape).rows[0].shapes[1][:2]
    for shape in (IMAGENET, CIFAR)
  }
  assert kernel == {IMAGENET: (7, 7), CIFAR: (3, 3)}
  small = report("resnet", CIFAR, variant="20", shortcut="pad", num_classes=10)
  # He et al., table 6: 0.27 M parameters.
  assert round(small.parameter_count / 1e6, 2) == 0.27


BINARY = [
  ("resnet", {"variant": "20"}),
  ("resnet", {"variant": "20", "layout": "bireal"}),
  ("resnet", {"variant": "20", "layout": "resnet_e"}),
  ("resnet", {"variant": "20", "layout": "react"}),
  ("resnet", {"variant": "20", "layout": "real_to_binary"}),
  ("resnet", {"variant": "50", "width": 0.125}),
  ("reactnet", {"width": 0.25}),
  ("binary_densenet", {"growth": 8, "stem_features": 8}),
  ("meliusnet", {}),
  ("quicknet", {"variant": "small", "width": 0.25}),
  ("vgg_small", {"width": 0.125}),
]


@pytest.mark.parametrize(("name", "arguments"), BINARY)
def test_both_signs_occur_in_binary_layers(name, arguments, monkeypatch):
  """A sign after ReLU would see one value only. First blocks, in training."""
  seen = []
  real = contract.conv

  def spy(a, w, **keywords):
    if isinstance(a, Quantized):
      seen.append(jnp.stack([jnp.mean(x.terms[0].value) for x in (a, w)]))
    return real(a, w, **keywords)

  monkeypatch.setattr(contract, "conv", spy)

  @jax.jit
  def means(x):
    model = build(name, (16, 16, 3), **arguments)
    for layer in (*model.stem, *model.blocks[:2]):
      x = layer(x, Mode.training())
    return jnp.stack(seen)

  x = jax.random.uniform(jax.random.key(0), (2, 16, 16, 3))
  assert np.abs(means(x)).max() < 0.95


def test_activation_follows_the_alphabet():
  def relu(**arguments):
    model = nnx.eval_shape(lambda: build("resnet", **arguments))
    return model.blocks[0].activation.function is jax.nn.relu

  assert relu(weight=None, act=None)
  assert relu(weight="ste", act=None)
  assert relu(weight="ste", act="symmetric(bits=4)|ema_bound")
  assert not relu(weight="ste", act="ste")


TRAINABLE = [
  ("resnet", {"variant": "20", "width": 0.25, "layout": "react"}),
  ("vgg_small", {"width": 0.125}),
  ("vit", {"variant": "tiny", "patch": 8, "blocks": 1}),
]


@pytest.mark.parametrize(("name", "arguments"), TRAINABLE)
def test_one_step(name, arguments):
  """Every parameter gets a finite gradient, every latent weight a signal."""

  @jax.jit
  def gradients(x):
    model = build(name, (16, 16, 3), num_classes=10, **arguments)
    graph, params, rest = nnx.split(model, nnx.Param, ...)
    rest = nnx.to_pure_dict(rest)

    def loss(params):
      y = nnx.merge(graph, params, rest)(x, Mode.training())
      return -jnp.mean(jax.nn.log_softmax(y)[:, 0])

    return jax.grad(loss)(params)

  x = jax.random.normal(jax.random.key(1), (4, 16, 16, 3))
  for path, g in nnx.to_flat_state(gradients(x)):
    g = g[...]
    assert np.isfinite(g).all(), path
    if path[-1] == "kernel":
      assert np.abs(g).max() > 0, path


ERRORS = [
  ("resnet", {"variant": "19"}, "Unknown ResNet variant '19'. Did you mean"),
  ("resnet", {"layout": "bi_real"}, "Unknown ResNet layout 'bi_real'. Did you"),
  ("resnet", {"version": "v2"}, "Unknown ResNet version 'v2'"),
  ("resnet", {"projection": "real"}, "Unknown projection 'real'"),
  ("resnet", {"shortcut": "convolution"}, "Unknown shortcut 'convolution'"),
  ("resnet", {"stem": "tiny"}, "Unknown stem 'tiny'"),
  ("resnet", {"activation": "rellu"}, "Unknown (activation|step).*'rellu'"),
  ("resnet", {"width": 0.001}, "Width 0.001 leaves nothing of 64 channels"),
  (
    "resnet",
    {"variant": "50", "layout": "bireal"},
    "ResNet-50 has bottlenecks.*variant '18'",
  ),
  ("reactnet", {"variant": "D"}, "Unknown ReActNet variant 'D'"),
  ("reactnet", {"width": 0.35}, "which is not twice as many"),
  ("mobilenet", {"variant": "v3"}, "Unknown MobileNet variant 'v3'"),
  ("binary_densenet", {"variant": "29"}, "Unknown BinaryDenseNet variant '29'"),
  ("meliusnet", {"variant": "23"}, "Unknown MeliusNet variant '23'"),
  ("quicknet", {"variant": "M"}, "Unknown QuickNet variant 'M'"),
  ("binary_alexnet", {"variant": "xnr"}, "Unknown BinaryAlexNet variant 'xnr'"),
  ("vit", {"variant": "huge"}, "Unknown ViT variant 'huge'"),
  ("vit", {"patch": 13}, "Patches of 13x13 do not tile"),
]


@pytest.mark.parametrize(("name", "arguments", "message"), ERRORS)
def test_errors(name, arguments, message):
  with pytest.raises(ValueError, match=message):
    nnx.eval_shape(lambda: build(name, **arguments))


@pytest.mark.parametrize(
  ("name", "shape", "message"),
  [
    ("binary_alexnet", (32, 32, 3), "too small for BinaryAlexNet"),
    ("binary_alexnet", (224, 192, 3), "takes square images"),
    ("vgg_small", (30, 32, 3), "not multiples of 8"),
    ("resnet", (32, 3), "An image is"),
  ],
)
def test_image_shapes(name, shape, message):
  with pytest.raises(ValueError, match=message):
    nnx.eval_shape(lambda: build(name, shape))
