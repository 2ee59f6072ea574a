"""QuickNet: size and MACs of larq's page, padding, signs, errors."""

import numpy as np
import pytest
from flax import nnx

from tests import image_models
from tests.image_models import report


def test_quicknet_large_of_larq_zoo():
  got = report("quicknet", variant="large")
  # Without running statistics and the fixed blur kernels.
  assert got.parameter_count == 23_342_248 - 4032 - 32
  assert got.bops == pytest.approx(3.70e9, rel=0.003)


@pytest.mark.parametrize(("act", "value"), [("ste", 1), (None, 0)])
def test_binary_convolutions_are_padded_with_a_sign(act, value):
  model = image_models.abstract("quicknet", width=0.25, act=act)
  assert model.blocks[0].units[0].conv.pad_value == value


def test_both_signs_occur_in_binary_layers(monkeypatch):
  arguments = {"variant": "small", "width": 0.25}
  means = image_models.mean_signs(monkeypatch, "quicknet", **arguments)
  assert np.abs(means).max() < 0.95


@pytest.mark.parametrize(
  ("arguments", "message"),
  [
    ({"variant": "M"}, "Unknown QuickNet variant 'M'"),
    ({"variant": "small", "width": 0.1}, "Width 0.25 leaves nothing of 3 chan"),
  ],
)
def test_errors(arguments, message):
  with pytest.raises(ValueError, match=message):
    nnx.eval_shape(lambda: image_models.build("quicknet", **arguments))
