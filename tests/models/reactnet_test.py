"""ReActNet: variants, stems, signs, errors."""

import numpy as np
import pytest
from flax import nnx

from bnnjax.models.reactnet import Widen
from tests import image_models
from tests.image_models import report


def test_b_and_c_widen_in_float():
  """Binary widening convolutions of A, half their MACs each, become float."""
  blocks = ((64, 1), (128, 2))
  a, b, c = (report("reactnet", variant=v, blocks=blocks) for v in "ABC")
  widening = 2 * 2 * 112 * 112 * 32 * 32
  assert a.bops - c.bops == a.bops - b.bops == widening
  assert c.flops - a.flops == widening
  assert b.flops - a.flops == widening // 4


def test_thirteen_blocks_of_which_five_widen():
  """MobileNet-V1's; the released code has 29.3 M parameters."""
  model = image_models.abstract("reactnet")
  assert len(model.blocks) == 2 * 13
  assert sum(isinstance(block, Widen) for block in model.blocks) == 5
  assert image_models.sizes("reactnet") == 29_343_592


@pytest.mark.parametrize(
  ("shape", "halvings"), [(image_models.IMAGENET, 4), (image_models.CIFAR, 2)]
)
def test_small_images_are_halved_less(shape, halvings):
  model = image_models.abstract("reactnet", shape, width=0.25)
  convs = [b.units[0].conv for b in model.blocks if hasattr(b, "units")]
  assert sum(conv.strides == (2, 2) for conv in convs) == halvings


def test_both_signs_occur_in_binary_layers(monkeypatch):
  means = image_models.mean_signs(monkeypatch, "reactnet", width=0.25)
  assert np.abs(means).max() < 0.95


@pytest.mark.parametrize(
  ("arguments", "message"),
  [
    ({"variant": "D"}, "Unknown ReActNet variant 'D'"),
    ({"width": 0.35}, "which is not twice as many"),
  ],
)
def test_errors(arguments, message):
  with pytest.raises(ValueError, match=message):
    nnx.eval_shape(lambda: image_models.build("reactnet", **arguments))
