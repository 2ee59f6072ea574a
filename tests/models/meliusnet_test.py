"""MeliusNet: sizes and MACs of larq's page, improvement blocks, errors."""

import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from bnnjax.models.meliusnet import Improve
from tests import image_models
from tests.image_models import report


def test_meliusnet22_of_larq_zoo():
  got = report("meliusnet", variant="22")
  assert got.parameter_count == 6_944_584
  assert got.bops == pytest.approx(4.62e9, rel=0.003)
  assert got.flops == pytest.approx(1.36e8, rel=0.004)


class Ones(nnx.Module):
  """Two channels of ones, whatever it is given."""

  def __call__(self, x, mode=None):
    return jnp.ones((*x.shape[:-1], 2))


def test_an_improvement_adds_to_the_newest_channels():
  x = jnp.zeros((1, 2, 2, 5))
  got = Improve(Ones())(x)
  np.testing.assert_array_equal(got[0, 0, 0], [0, 0, 0, 1, 1])


def test_both_signs_occur_in_binary_layers(monkeypatch):
  means = image_models.mean_signs(monkeypatch, "meliusnet")
  assert np.abs(means).max() < 0.95


def test_unknown_variant():
  with pytest.raises(ValueError, match="Unknown MeliusNet variant '23'"):
    nnx.eval_shape(lambda: image_models.build("meliusnet", variant="23"))
