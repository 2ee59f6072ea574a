"""MeliusNet: dense blocks add channels, improvement blocks refine them.

MeliusNet: Can Binary Neural Networks Achieve MobileNet-level Accuracy?, Bethge
et al. 2020, arXiv:2001.05936; layout as in larq/zoo.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from flax import nnx

from bnnjax.core import registry
from bnnjax.core.progress import Mode
from bnnjax.layers.blocks import LayerDefaults, Unit
from bnnjax.layers.linear import Spec
from bnnjax.layers.pool import Pool
from bnnjax.layers.shortcut import Concat
from bnnjax.models.checks import check_image_shape
from bnnjax.models.classifier import ImageClassifier, is_small

GROWTH = 64


class Plan(NamedTuple):
  """Pairs of blocks in each stage, channels after each transition."""

  blocks: tuple[int, ...]
  transitions: tuple[int, ...]


VARIANTS = {  # as in hpi-xnor/BMXNet-v2's `meliusnet_spec`
  "22": Plan((4, 5, 4, 4), (160, 224, 256)),
  "29": Plan((4, 6, 8, 6), (128, 192, 256)),
  "42": Plan((5, 8, 14, 10), (160, 256, 416)),
  "59": Plan((6, 12, 24, 12), (192, 320, 544)),
}


class Improve(nnx.Module):
  """Adds `unit(x)` to the newest channels, which are the last.

  Args:
    unit: a layer with fewer outputs than inputs.
  """

  def __init__(self, unit: nnx.Module):
    self.unit = unit

  def __call__(self, x: jax.Array, mode: Mode | None = None) -> jax.Array:
    """`[N, H, W, C] -> [N, H, W, C]`."""
    y = self.unit(x, mode)
    old = x.shape[-1] - y.shape[-1]
    return jnp.concatenate([x[..., :old], x[..., old:] + y], axis=-1)


@registry.register("model", "meliusnet")
class MeliusNet(ImageClassifier):
  """Pairs of a dense and an improvement block, 3x3 and binary.

  Args:
    num_classes: outputs.
    image_shape: `[H, W, C]`.
    variant: "22", "29", "42" or "59".
    stem: `"imagenet"` (three 3x3 convolutions, two of them grouped, then a
      pool: a map 4 times smaller) or `"small"` (without stride and pool); by
      default `"small"` below a height of 50.
    weight, act: binarizers of the body.
    edge_weight, edge_act: binarizers of the stem and of the head.
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
    variant: str = "22",
    stem: str | None = None,
    weight: Spec = "ste",
    act: Spec = "ste",
    edge_weight: Spec = None,
    edge_act: Spec = None,
    norm: str = "batch",
    dtype: Any = None,
    rngs: nnx.Rngs,
  ):
    check_image_shape(image_shape)
    plan = registry.pick("MeliusNet variant", variant, VARIANTS)
    body = LayerDefaults(weight, act, dtype, norm=norm)
    edge = body.with_operands(edge_weight, edge_act)
    small = is_small(stem, image_shape)
    blocks, features = _blocks(plan, body, rngs)
    super().__init__(
      _stem(image_shape[-1], small, edge, rngs),
      blocks,
      features,
      num_classes,
      defaults=edge,
      rngs=rngs,
    )


def _stem(
  channels: int, small: bool, edge: LayerDefaults, rngs
) -> list[nnx.Module]:
  """Three 3x3 convolutions instead of one of 7x7."""
  order = "conv norm relu"
  strides = 1 if small else 2
  layers: list[nnx.Module] = [
    Unit(order, channels, 32, strides=strides, defaults=edge, rngs=rngs),
    Unit(order, 32, 32, groups=4, defaults=edge, rngs=rngs),
    Unit(order, 32, GROWTH, groups=8, defaults=edge, rngs=rngs),
  ]
  return layers if small else [*layers, Pool("max", 2, 2)]


def _blocks(
  plan: Plan, body: LayerDefaults, rngs: nnx.Rngs
) -> tuple[list[nnx.Module], int]:
  """All stages and transitions, and the number of channels at the end."""
  blocks: list[nnx.Module] = []
  features = GROWTH
  real = body.with_operands(None, None)
  for stage, pairs in enumerate(plan.blocks):
    for _ in range(pairs):
      for join in (Concat, Improve):
        unit = Unit("norm conv", features, GROWTH, defaults=body, rngs=rngs)
        blocks.append(join(unit))
        features += GROWTH if join is Concat else 0
    if stage < len(plan.transitions):
      after = plan.transitions[stage]
      order = "norm max_pool relu conv"
      blocks.append(Unit(order, features, after, 1, defaults=real, rngs=rngs))
      features = after
  blocks.append(Unit("norm relu", features, features, defaults=real, rngs=rngs))
  return blocks, features
