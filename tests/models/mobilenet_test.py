"""MobileNets: sizes as published, widths, errors."""

import pytest
from flax import nnx

from tests import image_models


# V1 of keras, V2 of torchvision.
@pytest.mark.parametrize(
  ("variant", "parameters"), [("v1", 4_231_976), ("v2", 3_504_872)]
)
def test_parameters(variant, parameters):
  assert image_models.sizes("mobilenet", variant=variant) == parameters


@pytest.mark.parametrize(
  # 0.75 x 24 = 18: the multiple of 8 nearest to it is more than 10 % below.
  ("variant", "width", "features"),
  [("v1", 0.25, [8, 16, 256]), ("v2", 0.75, [24, 16, 1280])],
)
def test_widths_are_multiples_of_8(variant, width, features):
  model = image_models.abstract("mobilenet", variant=variant, width=width)
  first, last = model.stem[0].conv, model.head.in_features
  inside = [b.conv.out_features for b in model.blocks if hasattr(b, "conv")]
  assert [first.out_features, inside[1], last] == features


def test_small_images_take_the_small_stem():
  strides = [
    image_models.abstract("mobilenet", shape, variant="v1").stem[0].conv.strides
    for shape in (image_models.IMAGENET, image_models.CIFAR)
  ]
  assert strides == [(2, 2), (1, 1)]


def test_unknown_variant():
  with pytest.raises(ValueError, match="Unknown MobileNet variant 'v3'"):
    nnx.eval_shape(lambda: image_models.build("mobilenet", variant="v3"))
