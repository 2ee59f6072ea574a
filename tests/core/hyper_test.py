"""Rules of hyper-parameters: what each takes, refuses and says."""

import math

import jax.numpy as jnp
import numpy as np
import pytest

from bnnjax.core import hyper, registry
from bnnjax.core.schedule import Annealed
from bnnjax.core.spec import parse

KINDS = ("estimator", "scale", "transform", "schedule", "grad")
THINGS = [(k, n) for k in KINDS for n in registry.registered(k)]
NEVER = (
  1j,
  math.nan,
  math.inf,
  -math.inf,
  (),
  [],
  {},
  b"a",
  ...,
  "nope",
  10**60,
)


@pytest.mark.parametrize(("kind", "name"), THINGS)
def test_every_hyper_parameter_has_a_rule_that_takes_its_default(kind, name):
  thing = registry.get(kind, name)
  assert set(thing.defaults.rules) >= set(thing.defaults)
  assert registry.check_hyper(kind, thing, thing.defaults) == thing.defaults


@pytest.mark.parametrize(("kind", "name"), THINGS)
def test_no_hyper_parameter_takes_what_is_no_value(kind, name):
  thing = registry.get(kind, name)
  for key in thing.defaults:
    for value in NEVER:
      with pytest.raises(ValueError, match=f"`{key}` of {kind} '{name}' must"):
        registry.check_hyper(kind, thing, {key: value})


def taken(rule, values):
  got = []
  for value in values:
    try:
      got.append(rule.read(value))
    except hyper.Refused:
      got.append("refused")
  return got


@pytest.mark.parametrize(
  ("rule", "text", "values", "want"),
  [
    (hyper.Real(0, 1), "a number from 0 to 1", (0, 1, 1.1, True, np.float32(0.5)),
     [0, 1, "refused", "refused", 0.5]),
    (hyper.POSITIVE, "a number above 0", (0, 1e-30, 1e300, None),
     ["refused", 1e-30, "refused", "refused"]),
    (hyper.Real(none=True), "a finite number or None", (None, -3, "1"),
     [None, -3, "refused"]),
    (hyper.Whole(2, 8), "a whole number from 2 to 8", (2, 9, 4.0, np.int64(3), False),
     [2, "refused", "refused", 3, "refused"]),
    (hyper.Whole(), "a whole number >= 1", (0, 2**31 - 1, 2**31),
     ["refused", 2**31 - 1, "refused"]),
    (hyper.Choice((1, -1)), "one of 1, -1", (1, -1, True, 1.0, 0),
     [1, -1, "refused", "refused", "refused"]),
    (hyper.FLAG, "one of False, True", (True, 1, 0.0), [True, "refused", "refused"]),
    (hyper.Either(hyper.POSITIVE, hyper.Choice(("l1",))),
     "a number above 0 or one of 'l1'", (2.0, "l1", "l2", 0),
     [2.0, "l1", "refused", "refused"]),
  ],
)  # fmt: skip
def test_rules(rule, text, values, want):
  assert str(rule) == text
  got = taken(rule, values)
  assert got == want
  assert all(type(g) is not np.float32 for g in got)


def test_a_whole_number_that_float32_does_not_hold_becomes_a_float():
  assert isinstance(hyper.Real().read(2**24), int)
  assert isinstance(hyper.Real().read(2**24 + 1), float)


def test_arguments_without_a_rule_take_what_is_like_their_default():
  def formula(x, *, n=1, rate=0.5, flag=True, name="a", free=None):
    return x

  defaults = hyper.defaults_of(formula)
  assert dict(defaults) == {
    "n": 1, "rate": 0.5, "flag": True, "name": "a", "free": None
  }  # fmt: skip
  rules = defaults.rules
  assert taken(rules["n"], (2, 2.5, "a")) == [2, 2.5, "refused"]
  assert taken(rules["flag"], (False, 1)) == [False, "refused"]
  assert taken(rules["name"], ("b", 1)) == ["b", "refused"]
  assert "free" not in rules


def test_a_rule_may_be_written_as_a_string():
  """As `from __future__ import annotations` makes it."""

  def formula(x, *, n: "hyper.Whole(2)" = 3):
    return x

  rule = hyper.defaults_of(formula).rules["n"]
  assert taken(rule, (2, 1)) == [2, "refused"]


def test_both_ends_of_a_schedule_are_checked():
  ends = "linear(start=2.0, end={})"
  made = parse(f"ede(t={ends.format(0.5)})", "act")
  assert isinstance(dict(made.estimator_hp)["t"], Annealed)
  with pytest.raises(
    ValueError, match="`t` of estimator 'ede' must be a number"
  ):
    parse(f"ede(t={ends.format(0.0)})", "act")
  with pytest.raises(ValueError, match="`bits` of estimator 'absmax' must be"):
    parse("absmax(bits=linear(start=2.0, end=4.0))", "act")


def test_traced_values_pass():
  assert hyper.Real(0, 1).read(jnp.float32(0.3)) == jnp.float32(0.3)


def test_long_values_are_cut_in_messages():
  assert len(hyper.shown("x" * 1000)) == 60
  assert hyper.shown(10**5000) == f"an int of {(10**5000).bit_length()} bits"
