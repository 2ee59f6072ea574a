"""The default network: its operands, its widths, its building without arrays."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from bnnjax import data, models
from bnnjax.core import dot_and_conv
from bnnjax.core.progress import DEPLOYED, Mode, Progress
from bnnjax.layers.variables import LatentWeight
from bnnjax.train import config_file
from bnnjax.train.plan import Plan

CONFIG = "configs/fashion_mnist_mini_pokebnn.py"


@pytest.mark.parametrize(
  "mode",
  [DEPLOYED, Mode.training(Progress.at(9, 10, 1))],
  ids=["eval", "train"],
)
def test_operands_of_binary_layers_hold_both_signs(mode, monkeypatch):
  """Sign right after ReLU would be constant +1: the classic silent bug."""
  config = config_file.read(CONFIG)
  images = next(
    iter(
      data.make_eval_batches(
        data.load(config.data.name, "test"), batch_size=64, threads=0
      )
    )
  )["image"]
  network = Plan(config).networks[-1]
  params, rest = network.variables(0)
  model = network.merge({"params": params, "rest": rest})
  operands, original = [], dot_and_conv.conv

  def record(a, w, **options):
    if a.terms[0].kind.bits == 1:
      operands.append((a.terms[0].value, w.terms[0].value))
    return original(a, w, **options)

  monkeypatch.setattr(dot_and_conv, "conv", record)

  @nnx.jit
  def operands_of(model, images):
    model(images, mode)
    return operands

  binary = operands_of(model, jnp.asarray(images))
  assert len(binary) == 3 * len(model.blocks)
  for a, w in binary:
    for value in (a, w):
      assert set(np.unique(value)) == {-1, 1}
    # Neither sign is rare: between a twentieth and the rest.
    assert 0.05 < np.mean(a > 0) < 0.95
    # Every filter sees both, but for the few inputs of a small network.
    assert 0.2 < np.mean(w > 0) < 0.8


def test_body_is_latent_and_the_rest_is_not():
  config = config_file.read(CONFIG)
  network = Plan(config).networks[-1]
  kinds = {
    ".".join(map(str, path)): isinstance(v, LatentWeight)
    for path, v in nnx.to_flat_state(nnx.state(network.abstract, nnx.Param))
  }
  latent = {path for path, is_latent in kinds.items() if is_latent}
  assert all(path.endswith("kernel") for path in latent)
  assert {p for p in kinds if p.endswith("kernel")} == latent
  config = config_file.read(f"{CONFIG}:float")
  float_network = Plan(config).networks[-1]
  assert set(jax.tree.leaves(float_network.kinds)) == {"float"}


def test_bfloat16_keeps_parameters_in_float32():
  config = config_file.read("configs/imagenet_pokebnn.py:smoke")
  network = Plan(config).networks[-1]
  assert {
    x.dtype for x in jax.tree.leaves(nnx.state(network.abstract, nnx.Param))
  } == {jnp.dtype("float32")}
  image = jax.ShapeDtypeStruct((2, *config.data.shape), jnp.float32)
  logits = jax.eval_shape(lambda m, x: m(x), network.abstract, image)
  assert logits.shape == (2, config.data.num_classes)


@pytest.mark.parametrize("width", [0.25, 0.5, 0.75, 1.0, 1.25, 2.0])
def test_multiples_of_a_quarter_are_legal(width):
  build = lambda: models.build(  # noqa: E731
    {"name": "pokebnn", "width": width, "stages": ((64, 1), (128, 1))},
    rngs=nnx.Rngs(0),
  )
  last = nnx.eval_shape(build).blocks[-1].expand.conv
  assert last.out_features == 4 * 128 * width


@pytest.mark.parametrize("width", [1.4, 0.3, 0.0])
def test_illegal_width_names_legal_ones(width):
  with pytest.raises(
    ValueError, match=r"Illegal width.*Nearest legal widths: "
  ):
    models.build({"name": "pokebnn", "width": width}, rngs=nnx.Rngs(0))


def test_image_of_another_rank_or_channels():
  config = {"name": "pokebnn", "stages": ((16, 1),), "image_shape": (8, 8)}
  with pytest.raises(
    ValueError, match=r"\[height, width, channels\]`, got shape \(8, 8\)"
  ):
    models.build(config, rngs=nnx.Rngs(0))
  config["image_shape"] = (8, 8, 3)
  model = models.abstract(lambda rngs: models.build(config, rngs=rngs))
  run = lambda x: nnx.eval_shape(lambda m: m(x), model)  # noqa: E731
  with pytest.raises(ValueError, match="built for 3 input features, got 1"):
    run(jnp.zeros((1, 8, 8, 1)))
  with pytest.raises(
    ValueError, match=r"takes `\[batch, 2 spatial axes, channels\]`"
  ):
    run(jnp.zeros((8, 8, 3)))
