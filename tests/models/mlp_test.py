"""The perceptron: its layers, its size, what is binary."""

import pytest

from tests import image_models


def mlp(**arguments):
  return image_models.abstract("mlp", (4, 4, 2), num_classes=3, **arguments)


def test_parameters():
  sizes = image_models.sizes(
    "mlp", shape=(4, 4, 2), num_classes=3, hidden=(5, 7)
  )
  assert sizes == 32 * 5 + 2 * 5 + 5 * 7 + 2 * 7 + 7 * 3 + 3


def test_the_image_and_the_classifier_are_float():
  model = mlp(hidden=(5, 7))
  first, second = model.layers
  assert first.act.binarizer is None
  assert None not in (second.act.binarizer, first.weight.binarizer)
  assert model.head.weight.binarizer is None


@pytest.mark.parametrize("hidden", [(), (5,), (5, 6, 7)])
def test_as_many_layers_as_widths(hidden):
  model = mlp(hidden=hidden)
  assert [layer.out_features for layer in model.layers] == list(hidden)
  assert model.head.in_features == (hidden or (32,))[-1]
