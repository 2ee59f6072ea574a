"""ReActNet in its MobileNet form (the ResNet form is `ResNet(layout="react")`).

ReActNet: Towards Precise Binary Neural Network with Generalized Activation
Functions, Liu et al., ECCV 2020, arXiv:2003.03488, sec. 4.1, as in the released
code.
"""

from collections.abc import Iterator, Sequence
from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx

from bnnjax.core import registry
from bnnjax.core.progress import Mode
from bnnjax.layers.activations import LearnedShift, activation
from bnnjax.layers.blocks import LayerDefaults, Unit
from bnnjax.layers.linear import Spec
from bnnjax.layers.shortcut import Residual, shortcut
from bnnjax.models.checks import check_image_shape
from bnnjax.models.classifier import ImageClassifier, is_small, scaled
from bnnjax.models.mobilenet import STEM_FEATURES, V1

# Groups of the widening 1x1 convolutions, if they are float. The paper has
# "group convolutions in the downsampling layers" (B) and "real-valued" ones
# (C); four groups and one group give its operation counts.
VARIANTS: dict[str, int | None] = {"A": None, "B": 4, "C": 1}


class Widen(nnx.Module):
  """Twice the channels: two 1x1 convolutions of one input, side by side.

  `activation([norm(conv1(u)) + x, norm(conv2(u)) + x])`, `u = x + bias`. Each
  half has an identity shortcut, which needs no real-valued convolution.

  Args:
    features: channels of the input.
    groups: of float convolutions; `None` makes them binary.
    defaults: binarizers, dtype and norm.
    rngs: random numbers.
  """

  def __init__(
    self,
    features: int,
    *,
    groups: int | None,
    defaults: LayerDefaults,
    rngs: nnx.Rngs,
  ):
    if groups:
      defaults = defaults.with_operands(None, None)
    self.shift = LearnedShift(features)
    self.halves = nnx.List(
      Unit(
        "conv norm",
        features,
        features,
        1,
        groups=groups or 1,
        defaults=defaults,
        rngs=rngs,
      )
      for _ in range(2)
    )
    self.activation = activation("rprelu", 2 * features)

  def __call__(self, x: jax.Array, mode: Mode | None = None) -> jax.Array:
    """`[N, H, W, features] -> [N, H, W, 2 features]`."""
    u = self.shift(x, mode)
    y = jnp.concatenate([h(u, mode) + x for h in self.halves], axis=-1)
    return self.activation(y, mode)


@registry.register("model", "reactnet")
class ReActNet(ImageClassifier):
  """MobileNet-V1 with full 3x3 convolutions, every convolution with a shortcut.

  A block is `3x3, 1x1`, each `rprelu(norm(conv(sign(x + bias))) + shortcut)`.
  The shortcut is an average pool if the map shrinks; the 1x1 convolution is a
  `Widen` if the channels double.

  Args:
    num_classes: outputs.
    image_shape: `[H, W, C]`.
    variant: "A" (all binary), "B" or "C" (widening 1x1 convolutions float, in
      four groups or one).
    width: multiplies all features.
    blocks: `(features, stride)` of each block.
    stem: `"imagenet"` (stride 2) or `"small"` (stride 1, and without the first
      two halvings); by default `"small"` below a height of 50.
    weight, act: binarizers of the body.
    edge_weight, edge_act: binarizers of the first convolution and of the head.
    norm: of all layers, e.g. "batch_channel(statistics='estimate')"
      (`bnnjax list norm`).
    dtype: of the computation.
    rngs: random numbers.

  Raises:
    ValueError: an unknown variant or stem.
  """

  def __init__(
    self,
    num_classes: int = 1000,
    image_shape: Sequence[int] = (224, 224, 3),
    *,
    variant: str = "A",
    width: float = 1.0,
    blocks: Sequence[tuple[int, int]] = V1,
    stem: str | None = None,
    weight: Spec = "reactnet",
    act: Spec = "approx_sign",  # the blocks have the shift already
    edge_weight: Spec = None,
    edge_act: Spec = None,
    norm: str = "batch",
    dtype: Any = None,
    rngs: nnx.Rngs,
  ):
    check_image_shape(image_shape)
    groups = registry.pick("ReActNet variant", variant, VARIANTS)
    small = is_small(stem, image_shape)
    body = LayerDefaults(weight, act, dtype, norm=norm)
    edge = body.with_operands(edge_weight, edge_act)
    first = scaled(STEM_FEATURES, width)
    super().__init__(
      [
        Unit(
          "conv norm",
          image_shape[-1],
          first,
          strides=1 if small else 2,
          defaults=edge,
          rngs=rngs,
        )
      ],
      _blocks(first, blocks, width, small, groups, body, rngs),
      scaled(blocks[-1][0], width),
      num_classes,
      defaults=edge,
      rngs=rngs,
    )


def _blocks(
  before: int,
  blocks: Sequence[tuple[int, int]],
  width: float,
  small: bool,
  groups: int | None,
  body: LayerDefaults,
  rngs: nnx.Rngs,
) -> Iterator[nnx.Module]:
  """Two layers for each block of MobileNet-V1."""
  halvings = 0
  for features, strides in blocks:
    halvings += strides == 2
    if small and halvings <= 2:
      strides = 1
    features = scaled(features, width)
    yield _binary(before, 3, strides, body, rngs)
    if features == before:
      yield _binary(before, 1, 1, body, rngs)
    elif features == 2 * before:
      yield Widen(before, groups=groups, defaults=body, rngs=rngs)
    else:
      raise ValueError(
        f"Width {width} turns {before} channels into {features}, which is not"
        " twice as many; use a width that gives whole numbers of channels."
      )
    before = features


def _binary(features, kernel, strides, body, rngs) -> Residual:
  """A convolution with equal channels, with shift, shortcut and RPReLU."""
  unit = Unit(
    "shift conv norm",
    features,
    features,
    kernel,
    strides=strides,
    defaults=body,
    rngs=rngs,
  )
  around = shortcut(
    "pool_conv", features, features, strides, defaults=body, rngs=rngs
  )
  return Residual([unit], around, activation("rprelu", features))
