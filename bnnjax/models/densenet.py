"""BinaryDenseNet: every binary convolution adds channels.

Back to Simplicity: How to Train Accurate BNNs from Scratch?, Bethge et al.
2019, arXiv:1906.08637; layout as in larq/zoo.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

from flax import nnx

from bnnjax.core import registry
from bnnjax.layers.blocks import LayerDefaults, Unit
from bnnjax.layers.linear import Spec
from bnnjax.layers.shortcut import Concat
from bnnjax.models.checks import check_image_shape
from bnnjax.models.classifier import ImageClassifier, is_small


class Plan(NamedTuple):
  """Layers, reduction after, and dilation of each stage."""

  layers: tuple[int, ...]
  reduction: tuple[float, ...]
  dilation: tuple[int, ...] = (1, 1, 1, 1)


VARIANTS = {
  "28": Plan((6, 6, 6, 5), (2.7, 2.7, 2.2)),
  "37": Plan((6, 8, 12, 6), (3.3, 3.3, 4)),
  "37_dilated": Plan((6, 8, 12, 6), (3.3, 3.3, 4), (1, 1, 2, 4)),
  "45": Plan((6, 12, 14, 8), (2.7, 3.3, 4)),
}
STEP = 32  # transitions have a multiple of it as channels


@registry.register("model", "binary_densenet")
class BinaryDenseNet(ImageClassifier):
  """`x -> [x, conv(sign(norm(x)))]`, with float transitions between stages.

  A transition is `norm, max pool, relu, 1x1 convolution`, without the pool
  before a dilated stage.

  Args:
    num_classes: outputs.
    image_shape: `[H, W, C]`.
    variant: "28", "37", "37_dilated" or "45".
    growth: channels that a layer adds.
    stem_features: channels after the stem.
    stem: `"imagenet"` (7x7 stride 2, pool) or `"small"` (3x3); by default
      `"small"` below a height of 50.
    weight, act: binarizers of the 3x3 convolutions.
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
    variant: str = "28",
    growth: int = 64,
    stem_features: int = 64,
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
    plan = registry.pick("BinaryDenseNet variant", variant, VARIANTS)
    body = LayerDefaults(weight, act, dtype, norm=norm)
    edge = body.with_operands(edge_weight, edge_act)
    small = is_small(stem, image_shape)
    first = Unit(
      "conv" if small else "conv norm relu max_pool",
      image_shape[-1],
      stem_features,
      3 if small else 7,
      strides=1 if small else 2,
      pool=(3, 2),
      defaults=edge,
      rngs=rngs,
    )
    blocks, features = _blocks(plan, stem_features, growth, body, rngs)
    super().__init__(
      [first], blocks, features, num_classes, defaults=edge, rngs=rngs
    )


def _blocks(
  plan: Plan, features: int, growth: int, body: LayerDefaults, rngs: nnx.Rngs
) -> tuple[list[nnx.Module], int]:
  """All stages and transitions, and the number of channels at the end."""
  blocks: list[nnx.Module] = []
  real = body.with_operands(None, None)
  for stage, (layers, dilation) in enumerate(zip(plan.layers, plan.dilation)):
    for _ in range(layers):
      unit = Unit(
        "norm conv",
        features,
        growth,
        dilation=dilation,
        defaults=body,
        rngs=rngs,
      )
      blocks.append(Concat(unit))
      features += growth
    if stage == len(plan.layers) - 1:
      break
    pool = "max_pool " if plan.dilation[stage + 1] == 1 else ""
    # Floor division by a fraction, as in larq/zoo.
    after = round(features // plan.reduction[stage] / STEP) * STEP
    blocks.append(
      Unit(
        f"norm {pool}relu conv",
        features,
        after,
        1,
        pool_padding="VALID",
        defaults=real,
        rngs=rngs,
      )
    )
    features = after
  blocks.append(Unit("norm relu", features, features, defaults=real, rngs=rngs))
  return blocks, features
