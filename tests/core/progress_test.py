import jax
import jax.numpy as jnp
import numpy as np
import pytest

from bnnjax.core.progress import DEPLOYED, Mode, Progress, to_step


def test_times_are_fractions_or_steps():
  assert to_step(0.0625, 800) == 50
  assert to_step(7500, 124_800) == 7500
  assert to_step(7500 / 124_800, 124_800) == 7500
  assert to_step(1, 10) == 1
  assert to_step(1.0, 10) == 10
  assert to_step(120.0, 1000) == 120  # what a config makes of 120
  assert int(to_step(0.25, jnp.asarray(10))) == round(2.5)


@pytest.mark.parametrize("when", [-1, -0.1, 1.5])
def test_times_out_of_range(when):
  with pytest.raises(ValueError, match=r"fraction of the run in \[0, 1\]"):
    to_step(when, 10)


@pytest.mark.parametrize("when", ["0.5", True, None])
def test_times_of_another_type(when):
  with pytest.raises(TypeError, match="an int"):
    to_step(when, 10)


def test_progress_passes_through_a_scan_unstacked():
  progress = Progress.at(3, 12, 4.0)

  @jax.jit
  def run(progress):
    return jax.lax.scan(lambda c, x: (c, x * c.fraction), progress, jnp.ones(2))

  carry, scaled = run(progress)
  np.testing.assert_allclose(scaled, [0.25, 0.25])
  np.testing.assert_allclose(carry.epoch, 1.0)


def test_modes():
  assert DEPLOYED.deployed
  assert not DEPLOYED.train
  training = Mode.training(Progress.at(0, 1, 1))
  assert training.train
  assert not training.deployed


def test_random_numbers_follow_from_the_step():
  """So that a run that was killed draws what it would have drawn."""
  key = jax.random.key(7)

  def drawn(step=None):
    progress = None if step is None else Progress.at(step, 9, 1.0)
    return jax.random.key_data(Mode.training(progress).fold_in(key)).tolist()

  assert drawn(5) == jax.random.key_data(jax.random.fold_in(key, 5)).tolist()
  assert drawn() == drawn(0) != drawn(1)
