"""QuickNet: a binary network designed for inference engines.

Larq Compute Engine, Bannink et al., MLSys 2021, arXiv:2011.09398; layout as in
larq/zoo.
"""

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from flax import nnx

from bnnjax.core import registry
from bnnjax.layers.activations import activation
from bnnjax.layers.blocks import LayerDefaults, Unit
from bnnjax.layers.linear import Spec
from bnnjax.layers.shortcut import Residual, shortcut
from bnnjax.models.checks import check_image_shape
from bnnjax.models.classifier import ImageClassifier, is_small, scaled


class Plan(NamedTuple):
  """Number of blocks and features of each stage."""

  blocks: tuple[int, ...] = (4, 4, 4, 4)
  features: tuple[int, ...] = (64, 128, 256, 512)


VARIANTS = {
  "small": Plan(features=(32, 64, 256, 512)),
  "medium": Plan(),
  "large": Plan(blocks=(6, 8, 12, 6)),
}


@registry.register("model", "quicknet")
class QuickNet(ImageClassifier):
  """`x + norm(relu(conv(sign(x))))`, 3x3, padded with +1: truly binary.

  Between stages there is `relu, max pool, blur, 1x1 convolution, norm` in
  float. The kernel of the blur is fixed; published MAC counts omit it.

  Args:
    num_classes: outputs.
    image_shape: `[H, W, C]`.
    variant: "small", "medium" or "large".
    width: multiplies the features of all stages.
    stem: `"imagenet"` (a map 4 times smaller) or `"small"` (no strides);
      by default `"small"` below a height of 50.
    weight, act: binarizers of the 3x3 convolutions.
    edge_weight, edge_act: binarizers of the stem and of the head.
    dtype: of the computation.
    rngs: random numbers.

  Raises:
    ValueError: an unknown variant or stem, or a width that leaves no channel in
      the stem, which has a quarter of the features.
  """

  def __init__(
    self,
    num_classes: int = 1000,
    image_shape: Sequence[int] = (224, 224, 3),
    *,
    variant: str = "medium",
    width: float = 1.0,
    stem: str | None = None,
    weight: Spec = "ste(clip=1.25)",
    act: Spec = "ste(clip=1.25)",
    edge_weight: Spec = None,
    edge_act: Spec = None,
    dtype: Any = None,
    rngs: nnx.Rngs,
  ):
    check_image_shape(image_shape)
    plan = registry.pick("QuickNet variant", variant, VARIANTS)
    plan = plan._replace(features=[scaled(f, width) for f in plan.features])
    body = LayerDefaults(weight, act, dtype)
    edge = body.with_operands(edge_weight, edge_act)
    strides = 1 if is_small(stem, image_shape) else 2
    super().__init__(
      _stem(image_shape[-1], plan.features[0], strides, edge, rngs),
      _blocks(plan, body, rngs),
      plan.features[-1],
      num_classes,
      defaults=edge,
      rngs=rngs,
    )


def _stem(
  channels: int, features: int, strides: int, edge: LayerDefaults, rngs
):
  """3x3, depthwise 3x3 (its norm has no parameters), 1x1."""
  inside = scaled(features, 0.25)
  plain = {"use_scale": False, "use_bias": False}
  keywords = {"defaults": edge, "rngs": rngs}
  return [
    Unit("conv norm relu", channels, inside, strides=strides, **keywords),
    Unit(
      "conv norm",
      inside,
      inside,
      strides=strides,
      groups=inside,
      norm=plain,
      **keywords,
    ),
    Unit("conv norm", inside, features, 1, **keywords),
  ]


def _blocks(
  plan: Plan, body: LayerDefaults, rngs: nnx.Rngs
) -> Iterator[nnx.Module]:
  """All stages, and the ReLU before the head."""
  real = body.with_operands(None, None)
  pad_value = 1 if body.takes_signs else 0
  before = plan.features[0]
  for features, blocks in zip(plan.features, plan.blocks):
    if features != before:
      yield Unit(
        "relu max_pool blur conv norm",
        before,
        features,
        1,
        pool=(2, 1),
        pool_padding="VALID",
        defaults=real,
        rngs=rngs,
      )
      before = features
    for _ in range(blocks):
      unit = Unit(
        "conv relu norm",
        features,
        features,
        pad_value=pad_value,
        defaults=body,
        rngs=rngs,
      )
      around = shortcut("conv", features, features, 1, defaults=body, rngs=rngs)
      yield Residual([unit], around, activation("identity", features))
  yield activation("relu", before)
