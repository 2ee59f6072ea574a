"""VGG-Small, the plain network in CIFAR-10 tables.

LQ-Nets, Zhang et al., ECCV 2018, arXiv:1807.10029: the convolutions of
BinaryConnect's VGG (Courbariaux et al. 2015) with one fully connected layer.
"""

from collections.abc import Sequence
from typing import Any

from flax import nnx

from bnnjax.core import registry
from bnnjax.layers.blocks import LayerDefaults, Unit
from bnnjax.layers.linear import Spec
from bnnjax.models.checks import check_image_shape
from bnnjax.models.classifier import ImageClassifier, scaled

# (features, followed by a pool).
PLAN = (
  (128, False),
  (128, True),
  (256, False),
  (256, True),
  (512, False),
  (512, True),
)


@registry.register("model", "vgg_small")
class VGGSmall(ImageClassifier):
  """Six 3x3 convolutions, three max pools, a classifier on the whole map.

  Pools precede norms, so that both signs occur.

  Args:
    num_classes: outputs.
    image_shape: `[H, W, C]`, sides multiples of 8.
    width: multiplies all features.
    weight, act: binarizers of all convolutions but the first.
    edge_weight, edge_act: binarizers of the first convolution and of the head.
    norm: of all layers, e.g. "batch_channel(statistics='estimate')"
      (`bnnjax list norm`).
    dtype: of the computation.
    rngs: random numbers.

  Raises:
    ValueError: an image whose sides are not multiples of 8.
  """

  def __init__(
    self,
    num_classes: int = 10,
    image_shape: Sequence[int] = (32, 32, 3),
    *,
    width: float = 1.0,
    weight: Spec = "ste",
    act: Spec = "ste",
    edge_weight: Spec = None,
    edge_act: Spec = None,
    norm: str = "batch",
    dtype: Any = None,
    rngs: nnx.Rngs,
  ):
    check_image_shape(image_shape)
    if image_shape[0] % 8 or image_shape[1] % 8:
      raise ValueError(
        f"VGG-Small halves the image three times: got {tuple(image_shape)},"
        " whose sides are not multiples of 8."
      )
    body = LayerDefaults(weight, act, dtype, norm=norm)
    edge = body.with_operands(edge_weight, edge_act)
    tail = "" if body.takes_signs else " relu"
    units, before = [], image_shape[-1]
    for features, pooled in PLAN:
      features = scaled(features, width)
      units.append(
        Unit(
          ("conv max_pool norm" if pooled else "conv norm") + tail,
          before,
          features,
          defaults=body if units else edge,
          rngs=rngs,
        )
      )
      before = features
    super().__init__(
      units[:1],
      units[1:],
      before * (image_shape[0] // 8) * (image_shape[1] // 8),
      num_classes,
      defaults=edge,
      flatten=True,
      rngs=rngs,
    )
