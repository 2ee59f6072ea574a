"""Rules by path."""

import pytest

from bnnjax.convert import rules
from bnnjax.convert.rules import Rule
from bnnjax.errors import UserError

PATHS = ("stem", "blocks.0.conv", "blocks.1.conv", "head")


def test_the_first_rule_that_matches_applies():
  read = rules.read(
    {"head": None, r"blocks\.0.*": {"weight": "ste"}, ".*": "reactnet"}
  )
  found = rules.assign(read, PATHS)
  assert [found[path].key for path in PATHS] == [
    ".*",
    r"blocks\.0.*",
    ".*",
    "head",
  ]
  assert found["stem"].rule == Rule("reactnet", "reactnet")
  assert found["blocks.0.conv"].rule == Rule("ste")
  assert found["head"].rule.is_float
  assert found["head"].names("head")
  assert not found["stem"].names("stem")


def test_paths_without_a_rule_are_left_out():
  read = rules.read({"blocks.*": "ste"})
  assert list(rules.assign(read, PATHS)) == ["blocks.0.conv", "blocks.1.conv"]


@pytest.mark.parametrize(
  ("given", "says"),
  [
    ({}, "must map paths"),
    ("reactnet", "must map paths"),
    ({1: "ste"}, "must be a path or a pattern"),
    ({"(": "ste"}, "no regular expression"),
    ({".*": "reactnt"}, "Did you mean 'reactnet'"),
    ({".*": "ste|channel_l1"}, "'weight': 'ste|channel_l1'"),
    ({".*": {"wieght": "ste"}}, "Did you mean 'weight'"),
    ({".*": {"weight": "stee"}}, "The rule '.*': Unknown"),
    ({".*": "ecoformer"}, "neither weights nor activations"),
    ({".*": 3}, "None, a method's name or a dict"),
  ],
)
def test_bad_rules(given, says):
  with pytest.raises(UserError) as error:
    rules.read(given)
  assert says in str(error.value)


def test_a_path_that_is_no_pattern_of_itself():
  read = rules.read({"blocks.0(a)": "ste"})
  assert list(rules.assign(read, ["blocks.0(a)", "blocks"])) == ["blocks.0(a)"]


@pytest.mark.parametrize(
  ("given", "says"),
  [
    ({"steem": "ste"}, "matches no layer. Did you mean 'stem'"),
    ({".*": "ste", "stem": None}, "never applies: '.*' before it"),
    ({"blocks": "ste"}, "write '.*blocks.*' for 'blocks.0.conv'"),
  ],
)
def test_rules_without_a_layer(given, says):
  with pytest.raises(UserError) as error:
    rules.assign(rules.read(given), PATHS)
  assert says in str(error.value)


def test_a_path_names_one_layer():
  """Its dots are no patterns: `a.1` is not `a11`."""
  read = rules.read({"a.1": "reactnet"})
  assert list(rules.assign(read, ["a11", "a.1"])) == ["a.1"]
