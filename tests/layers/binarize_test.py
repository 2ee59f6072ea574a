"""Binarize owns the variables of a binarizer."""

import jax.numpy as jnp
import numpy as np
from flax import nnx

from bnnjax.core.progress import DEPLOYED, Mode, Progress
from bnnjax.layers.binarize import Binarize
from bnnjax.layers.linear import Linear
from bnnjax.layers.variables import BinarizerParam, BinarizerStat

W = jnp.array([[1.0, -2.0], [3.0, 0.0]])


def test_without_a_binarizer_it_is_the_identity():
  float_ = Binarize(None, "weight", W)
  assert float_(W) is W
  assert float_.quantize(W) == (W, "")
  assert float_.events == ()


def test_a_learned_scale_starts_at_the_mean_magnitude():
  made = Binarize("ste|learned", "weight", W)
  assert isinstance(made.params["scale"], BinarizerParam)
  np.testing.assert_array_equal(made.params["scale"][...], [[2, 1]])
  made.params["scale"][...] = jnp.array([[5.0, 7.0]])
  np.testing.assert_array_equal(made(W).dequantize(), [[5, -7], [5, 7]])


def test_a_random_scale_differs_between_layers(rngs):
  spec = "ste|learned(init='uniform')"
  scales = [Binarize(spec, "weight", W, rngs).params["scale"] for _ in "ab"]
  assert np.all(scales[0][...] != scales[1][...])
  after = rngs.params.count[...]
  Binarize("ste|learned", "weight", W, rngs)  # draws nothing
  assert rngs.params.count[...] == after


def test_what_would_compute_differently_in_training_is_named():
  made = Binarize("irnet", "weight", W)
  _, name = made.quantize(W)
  assert name == "the weight binarizer 'ede'"
  assert made.quantize(W, DEPLOYED)[1] == ""
  assert Binarize("ste", "weight", W).quantize(W)[1] == ""
  training = Mode.training(Progress.at(1, 2, 1.0))
  assert made.quantize(W, training)[1] == ""


def test_statistics_move_in_training_only():
  made = Binarize("symmetric(bits=8)|ema_bound", "act", W)
  assert isinstance(made.stats["max"], BinarizerStat)
  assert made.events == ("freeze_bounds",)
  before = made.stats["max"][...]
  made(W, DEPLOYED)
  np.testing.assert_array_equal(made.stats["max"][...], before)
  made(W, Mode.training(Progress.at(1, 2, 1.0)))
  assert np.any(made.stats["max"][...] != before)


def test_bounds_are_learned_frozen_and_used():
  """Extremes are averaged without zeros; the event fixes their bound."""
  layer = Linear(2, 3, act="symmetric(bits=4)|ema_bound", rngs=nnx.Rngs(0))
  x = jnp.array([[0.0, 2.0], [0.0, -4.0]])
  training = Mode.training(Progress.at(0, 10, 1))
  float_y = x @ layer.kernel[...]
  np.testing.assert_allclose(layer(x, training), float_y, rtol=1e-6)
  stats = {k: v[...] for k, v in layer.act.stats.items()}
  np.testing.assert_allclose(stats["max"], [[0, 0.2]], rtol=1e-6)
  np.testing.assert_allclose(stats["min"], [[0, -0.4]], rtol=1e-6)
  np.testing.assert_allclose(stats["bound"], [[-1, -1]])
  layer.act.apply_event("freeze_bounds")
  np.testing.assert_allclose(
    layer.act.stats["bound"][...], [[0, 0.4]], rtol=1e-6
  )
  assert np.abs(layer(x, training) - float_y).max() > 1e-2
