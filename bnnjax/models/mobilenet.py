"""MobileNet V1 and V2, float by default: the references of binary networks.

MobileNets, Howard et al. 2017, arXiv:1704.04861, table 1; MobileNetV2, Sandler
et al., CVPR 2018, arXiv:1801.04381, table 2.
"""

from collections.abc import Iterator, Sequence
from typing import Any

from flax import nnx

from bnnjax.core import registry
from bnnjax.layers.activations import activation
from bnnjax.layers.blocks import LayerDefaults, Unit
from bnnjax.layers.linear import Spec
from bnnjax.layers.shortcut import Residual, shortcut
from bnnjax.models.checks import check_image_shape
from bnnjax.models.classifier import ImageClassifier, is_small

# V1: (features, stride) of each depthwise-separable pair after the stem of 32.
V1 = (
  (64, 1),
  (128, 2),
  (128, 1),
  (256, 2),
  (256, 1),
  (512, 2),
  *[(512, 1)] * 5,
  (1024, 2),
  (1024, 1),
)
# V2: (expansion, features, blocks, stride of the first block).
V2 = (
  (1, 16, 1, 1),
  (6, 24, 2, 2),
  (6, 32, 3, 2),
  (6, 64, 4, 2),
  (6, 96, 3, 1),
  (6, 160, 3, 2),
  (6, 320, 1, 1),
)
STEM_FEATURES, LAST_FEATURES = 32, 1280


@registry.register("model", "mobilenet")
class MobileNet(ImageClassifier):
  """MobileNet V1 or V2.

  Args:
    num_classes: outputs.
    image_shape: `[H, W, C]`.
    variant: "v1" or "v2".
    width: multiplies all features, which are rounded to multiples of 8 as in
      the released code of V2 (those of V1 are multiples anyway).
    stem: `"imagenet"` (stride 2) or `"small"` (stride 1); by default `"small"`
      below a height of 50.
    weight, act: binarizers of the body, `None` is float.
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
    variant: str = "v2",
    width: float = 1.0,
    stem: str | None = None,
    weight: Spec = None,
    act: Spec = None,
    edge_weight: Spec = None,
    edge_act: Spec = None,
    norm: str = "batch",
    dtype: Any = None,
    rngs: nnx.Rngs,
  ):
    check_image_shape(image_shape)
    make, relu = registry.pick(
      "MobileNet variant", variant, {"v1": (_v1, "relu"), "v2": (_v2, "relu6")}
    )
    body = LayerDefaults(weight, act, dtype, norm=norm)
    edge = body.with_operands(edge_weight, edge_act)
    if body.takes_signs:
      relu = "identity"  # the sign is the non-linearity
    first = _multiple_of_8(STEM_FEATURES * width)
    blocks = list(make(first, width, relu, body, rngs))
    super().__init__(
      [
        Unit(
          f"conv norm {relu}",
          image_shape[-1],
          first,
          strides=1 if is_small(stem, image_shape) else 2,
          defaults=edge,
          rngs=rngs,
        )
      ],
      [layer for layer, _ in blocks],
      blocks[-1][1],
      num_classes,
      defaults=edge,
      rngs=rngs,
    )


def _multiple_of_8(features: float) -> int:
  """Nearest multiple of 8, at least 8 and at least 90 % of `features`."""
  rounded = max(8, int(features + 4) // 8 * 8)
  return rounded + 8 if rounded < 0.9 * features else rounded


Blocks = Iterator[tuple[nnx.Module, int]]


def _v1(
  before: int, width: float, relu: str, body: LayerDefaults, rngs
) -> Blocks:
  """A depthwise and a pointwise convolution for every entry of `V1`."""
  for features, strides in V1:
    features = _multiple_of_8(features * width)
    order = f"conv norm {relu}"
    yield (
      Unit(
        order,
        before,
        before,
        strides=strides,
        groups=before,
        defaults=body,
        rngs=rngs,
      ),
      before,
    )
    yield Unit(order, before, features, 1, defaults=body, rngs=rngs), features
    before = features


def _v2(
  before: int, width: float, relu: str, body: LayerDefaults, rngs
) -> Blocks:
  """Inverted residuals, then one wide pointwise convolution."""
  for expansion, features, blocks, first in V2:
    features = _multiple_of_8(features * width)
    for block in range(blocks):
      strides = 1 if block else first
      units = _inverted(before, expansion, features, strides, relu, body, rngs)
      if strides == 1 and before == features:
        around = shortcut("conv", before, features, 1, defaults=body, rngs=rngs)
        yield Residual(units, around, activation("identity", before)), features
      else:
        for unit in units:
          yield unit, features
      before = features
  # Not narrower for a width below 1, as in the released code.
  last = _multiple_of_8(LAST_FEATURES * max(width, 1.0))
  yield (
    Unit(f"conv norm {relu}", before, last, 1, defaults=body, rngs=rngs),
    last,
  )


def _inverted(
  before, expansion, features, strides, relu, body, rngs
) -> list[Unit]:
  """Expansion (unless by 1), depthwise, projection without activation."""
  order, inside = f"conv norm {relu}", before * expansion
  units = []
  if expansion > 1:
    units.append(Unit(order, before, inside, 1, defaults=body, rngs=rngs))
  units.append(
    Unit(
      order,
      inside,
      inside,
      strides=strides,
      groups=inside,
      defaults=body,
      rngs=rngs,
    )
  )
  units.append(Unit("conv norm", inside, features, 1, defaults=body, rngs=rngs))
  return units
