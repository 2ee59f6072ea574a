"""What a binarizer checks when it is made."""

import jax.numpy as jnp
import pytest

from bnnjax.core import registry
from bnnjax.core.binarizer import Binarizer
from bnnjax.core.spec import parse
from bnnjax.methods.ste import ste

X = jnp.array([[0.5, -2.0], [1.5, 1.0]])


def test_bad_options():
  with pytest.raises(ValueError, match="Unknown scale gradient 'non'"):
    parse("ste", "weight", gradient="non")
  with pytest.raises(ValueError, match="Unknown measure 'latnt'. Did you mean"):
    parse("ste", "weight", measure="latnt")
  with pytest.raises(TypeError, match="got 3"):
    parse(3, "weight")


def test_two_variables_of_one_name_are_refused():
  made = parse("shift > ste|affine", "weight")
  with pytest.raises(ValueError, match="a variable 'shift': leave one out"):
    made.init(X)


@pytest.mark.parametrize(
  "spec", ["ste|affine", "ste|group_l1(size=2)", "fan_in_gain > ste"]
)
def test_parts_that_are_made_for_weights(spec):
  assert parse(spec, "weight").role == "weight"
  with pytest.raises(
    ValueError, match="is made for the role 'weight', got 'act'"
  ):
    parse(spec, "act")


def test_parts_of_another_type():
  with pytest.raises(
    TypeError, match="`scale` of a Binarizer is of type Scale"
  ):
    Binarizer(ste, scale=2.0)
  with pytest.raises(
    TypeError, match="`estimator_hp` of a Binarizer are pairs"
  ):
    Binarizer(ste, estimator_hp={"clip": 1.0})


@pytest.mark.parametrize(
  ("fields", "message"),
  [
    ({"gradient": "estimator"}, "'ste' has no rule for its scale's gradient"),
    ({"role": "wieght"}, "Unknown role 'wieght'. Did you mean 'weight'"),
    ({"start": 2**31}, "more than an int32 counts"),
    ({"estimator_hp": (("clip", 0),)}, "`clip` of estimator 'ste' must be"),
  ],
)
def test_fields_that_do_not_fit(fields, message):
  scale = registry.get("scale", "channel_l1")
  with pytest.raises(ValueError, match=message):
    Binarizer(ste, scale=scale, **fields)


def test_a_grid_takes_no_gradient_of_its_scale():
  with pytest.raises(
    ValueError, match="takes part in no gradient; got .*'full'"
  ):
    parse("symmetric|learned", "weight")
  with pytest.raises(ValueError, match="A float tensor takes no scale"):
    parse("float|channel_l1", "weight")
