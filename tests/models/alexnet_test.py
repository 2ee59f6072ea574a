"""Binary AlexNets: sizes of larq's pages, what is binary, errors."""

import pytest
from flax import nnx

from tests import image_models


# Parameters with running statistics.
@pytest.mark.parametrize(
  ("variant", "stored"), [("binary", 61_859_192), ("xnor", 62_396_768)]
)
def test_stored_numbers_of_larq_zoo(variant, stored):
  types = nnx.Param, nnx.BatchStat
  got = image_models.sizes("binary_alexnet", *types, variant=variant)
  assert got == stored


@pytest.mark.parametrize(("variant", "binary"), [("binary", 8), ("xnor", 6)])
def test_the_edges_of_the_first_variant_are_binary_too(variant, binary):
  model = image_models.abstract("binary_alexnet", variant=variant)
  units = (*model.stem, *model.blocks)
  weights = [unit.conv.weight.binarizer for unit in units]
  assert sum(w is not None for w in weights) == binary
  assert (model.head is None) == (variant == "binary")
  assert model.stem[0].conv.act.binarizer is None  # the image


def test_a_float_network_warns():
  with pytest.warns(UserWarning, match="BinaryAlexNet has no non-linearity"):
    image_models.abstract("binary_alexnet", act=None)


@pytest.mark.parametrize(
  ("shape", "arguments", "message"),
  [
    ((32, 32, 3), {}, "too small for BinaryAlexNet"),
    ((224, 192, 3), {}, "takes square images"),
    (
      image_models.IMAGENET,
      {"variant": "xnr"},
      "Unknown BinaryAlexNet variant 'xnr'",
    ),
  ],
)
def test_errors(shape, arguments, message):
  with pytest.raises(ValueError, match=message):
    nnx.eval_shape(
      lambda: image_models.build("binary_alexnet", shape, **arguments)
    )
