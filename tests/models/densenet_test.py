"""BinaryDenseNet: sizes and MACs of larq's pages, transitions, errors."""

import numpy as np
import pytest
from flax import nnx

from tests import image_models
from tests.image_models import report


# Parameters with running statistics.
@pytest.mark.parametrize(
  ("variant", "stored"),
  [("28", 5_150_504), ("37", 8_734_120), ("45", 13_939_240)],
)
def test_stored_numbers_of_larq_zoo(variant, stored):
  types = nnx.Param, nnx.BatchStat
  got = image_models.sizes("binary_densenet", *types, variant=variant)
  assert got == stored


# To three digits. A dilated stage has larger maps, and the same parameters.
@pytest.mark.parametrize(
  ("variant", "bops", "flops"),
  [("37", 4.51e9, 2.00e8), ("37_dilated", 7.77e9, 4.53e8)],
)
def test_macs_of_larq_zoo(variant, bops, flops):
  got = report("binary_densenet", variant=variant)
  assert sum(p.size for p in got.parameters) == 8_734_120
  assert got.bops == pytest.approx(bops, rel=0.003)
  assert got.flops == pytest.approx(flops, rel=0.004)


def test_a_layer_adds_its_growth():
  model = image_models.abstract("binary_densenet", growth=8, stem_features=16)
  first, second = (block.unit.conv for block in model.blocks[:2])
  assert (first.in_features, second.in_features) == (16, 24)
  assert first.out_features == second.out_features == 8


def test_both_signs_occur_in_binary_layers(monkeypatch):
  means = image_models.mean_signs(
    monkeypatch, "binary_densenet", growth=8, stem_features=8
  )
  assert np.abs(means).max() < 0.95


def test_unknown_variant():
  message = "Unknown BinaryDenseNet variant '29'"
  with pytest.raises(ValueError, match=message):
    nnx.eval_shape(lambda: image_models.build("binary_densenet", variant="29"))
