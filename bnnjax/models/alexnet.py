"""Binary AlexNets: BNN's and XNOR-Net's.

Binarized Neural Networks, Hubara et al., NIPS 2016; XNOR-Net, Rastegari et al.,
ECCV 2016, arXiv:1603.05279. Layouts as in larq/zoo.
"""

from collections.abc import Sequence
from typing import Any

from flax import nnx

from bnnjax.core import registry
from bnnjax.layers.blocks import LayerDefaults, Unit
from bnnjax.layers.linear import Spec
from bnnjax.models import checks
from bnnjax.models.classifier import ImageClassifier

# (features, kernel, followed by a pool) of the five convolutions.
BINARY = (
  (64, 11, True),
  (192, 5, True),
  (384, 3, False),
  (384, 3, False),
  (256, 3, True),
)
XNOR = ((96, 11, True), (256, 5, True), *BINARY[2:])
VARIANTS = {"binary": BINARY, "xnor": XNOR}
HIDDEN = 4096
STRIDE = 4
POOL = (3, 2)


@registry.register("model", "binary_alexnet")
class BinaryAlexNet(ImageClassifier):
  """Five convolutions and three fully connected layers.

  Every norm feeds the next sign, which makes scales of norms redundant; they
  are left out.

  Args:
    num_classes: outputs.
    image_shape: `[H, W, C]`, square, of at least 67 pixels.
    variant: "binary" (Hubara et al.: the kernels of the first convolution and
      the classifier are binary too) or "xnor" (Rastegari et al.: both are
      float, with a norm and a ReLU).
    weight, act: binarizers; the image itself is never binarized.
    dtype: of the computation.
    rngs: random numbers.

  Raises:
    ValueError: an unknown variant, or an image that is too small or not square.

  Warns:
    UserWarning: float activations, between which there are only max pools.
  """

  def __init__(
    self,
    num_classes: int = 1000,
    image_shape: Sequence[int] = (224, 224, 3),
    *,
    variant: str = "binary",
    weight: Spec = "ste",
    act: Spec = "ste",
    dtype: Any = None,
    rngs: nnx.Rngs,
  ):
    checks.check_image_shape(image_shape)
    checks.warn_if_linear(
      "BinaryAlexNet",
      act,
      "Take a network with activations, such as 'mobilenet' or 'vgg_small'.",
    )
    plan = registry.pick("BinaryAlexNet variant", variant, VARIANTS)
    body = LayerDefaults(weight, act, dtype)
    xnor = variant == "xnor"
    edge = body.with_operands(None if xnor else weight, None)
    size = _map_size(image_shape, plan)
    blocks = [
      Unit(
        _order(i, pooled, xnor),
        plan[i - 1][0] if i else image_shape[-1],
        features,
        kernel,
        strides=1 if i else STRIDE,
        pool=POOL,
        pool_padding="VALID",
        defaults=body if i else edge,
        norm={"use_scale": False},
        rngs=rngs,
      )
      for i, (features, kernel, pooled) in enumerate(plan)
    ]
    blocks += _dense(plan[-1][0], size, num_classes, xnor, body, rngs)
    super().__init__(
      blocks[:1],
      blocks[1:],
      HIDDEN if xnor else None,
      num_classes,
      defaults=body.with_operands(None, None),
      head_bias=False,
      flatten=True,
      rngs=rngs,
    )


def _dense(before, size, num_classes, xnor, body, rngs) -> list[Unit]:
  """The fully connected layers, as convolutions over the whole map."""
  plan = [(before, HIDDEN, size), (HIDDEN, HIDDEN, 1)]
  if not xnor:
    plan.append((HIDDEN, num_classes, 1))
  return [
    Unit(
      "conv norm relu" if xnor and i == len(plan) - 1 else "conv norm",
      before,
      after,
      kernel,
      padding="VALID",
      defaults=body,
      norm={"use_scale": False},
      rngs=rngs,
    )
    for i, (before, after, kernel) in enumerate(plan)
  ]


def _order(layer: int, pooled: bool, xnor: bool) -> str:
  """Order of the steps in the unit of a convolution."""
  if xnor and not layer:
    return "conv norm relu max_pool norm"
  return "conv max_pool norm" if pooled else "conv norm"


def _map_size(image_shape, plan) -> int:
  """Height of the map before the first fully connected layer."""
  height, width = image_shape[:2]
  if height != width:
    raise ValueError(
      f"BinaryAlexNet takes square images, got {tuple(image_shape)}."
    )
  size = -(-height // STRIDE)
  for _, _, pooled in plan:
    size = (size - POOL[0]) // POOL[1] + 1 if pooled else size
  if size < 1:
    raise ValueError(
      f"An image of {tuple(image_shape)} is too small for BinaryAlexNet: its"
      " pools leave nothing."
    )
  return size
