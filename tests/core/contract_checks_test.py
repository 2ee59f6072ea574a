"""Checks of numbers that need more than one estimator."""

import jax.numpy as jnp
import pytest

import bnnjax as bx
from bnnjax.core import contract_checks, registry
from bnnjax.core.contract_subject import subjects
from tests.core import faulty_estimators as faulty


@pytest.fixture(autouse=True)
def _registry():
  with registry.restored():
    yield


def look(check, given, **options):
  options = {"role": None, "shape": None, **options}
  (subject,) = subjects(given, **options)
  return check(subject)


def test_a_scale_that_measures_nothing():
  @bx.scale
  def ones(x):
    return jnp.ones((), x.dtype)

  found = look(contract_checks.scale, "ste|ones")
  assert found == (False, "the scale 'ones' is the same for x, 4 x and 0")
  assert look(contract_checks.scale, "ste|fixed(value=2.0)").passed
  assert look(contract_checks.scale, "ste|tensor_l1(pow2=True)").passed


def test_a_slope_that_takes_a_scale_and_ignores_it():
  def slope(x, *, scale=1.0):
    del scale
    return jnp.ones_like(x)

  found = look(contract_checks.scale, faulty.make("deaf", slope))
  assert "the slope takes `scale`" in found.found


def test_a_parameter_without_a_gradient():
  spec = "ste|learned(init=1.0); gradient='none'"
  found = look(contract_checks.parameters, spec)
  assert found == (False, "the gradient of 'scale' is 0 throughout training")
  found = look(contract_checks.parameters, "ste|learned(init=1.0)")
  assert found == (True, "gradients of scale")


def test_an_activation_must_not_depend_on_its_batch():
  spec = "ste|tensor_l1"
  assert look(contract_checks.batch, spec, role="act").passed is False
  assert look(contract_checks.batch, spec, role="weight").passed is None
  assert look(contract_checks.batch, "ste|token_l1", role="act").passed


def test_a_transform_that_hides_nan():
  @bx.transform
  def cleaned(x):
    return jnp.nan_to_num(x)

  assert look(contract_checks.nan, "cleaned > ste").passed is False
  assert look(contract_checks.nan, "center > ste").passed


def test_zero_may_be_chosen_but_not_be_zero():
  assert look(contract_checks.zero, "ste(at_zero=-1)").passed
  found = look(contract_checks.zero, "ste(at_zero=0)")
  assert found == (False, "0 at 0 (float32), not +1")


def test_soft_values_and_float_tensors_have_no_alphabet():
  for spec in ("biper(stage=1.0)", "standardize > float"):
    assert look(contract_checks.alphabet, spec).passed is None


def test_a_slope_of_another_shape_is_wrong():
  made = faulty.make("summed", faulty.summed)
  assert look(contract_checks.shape, made).passed  # dy * slope has the shape
  rule = faulty.make("short", lambda x, scale, dy: dy[:1], full_rule=True)
  with pytest.raises((TypeError, ValueError)):
    look(contract_checks.shape, rule)
