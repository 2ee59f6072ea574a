"""What differs between two runs, in words."""

from bnnjax.train import differences
from tests.train.identity_test import CHANGES, DATA, FREE, NAMES, config


def pair(contents=None, **changes):
  held = {"data": DATA}
  return {"config": config(), **held}, {
    "config": config(**changes),
    **held,
    **(contents or {}),
  }


def test_a_difference_has_a_name():
  for name, value in CHANGES.items():
    if name == "stages":  # a part of the length, which is not judged here
      continue
    words = differences.difference(*pair(**{name: value}))
    group = name.replace("__", ".")
    assert words.startswith(f"`{group}"), words
  words = differences.difference(*pair(optim__lr=0.5))
  assert words == "`optim.lr` is 0.001 there and 0.5 here"
  words = differences.difference(*pair(model__act="ste"))
  assert words == "`model.act` is not set there and 'ste' here"


def test_what_may_differ_is_said():
  assert differences.difference(*pair()) is None
  assert differences.free_changes(*pair()) == []
  for name, value in {**FREE, **NAMES}.items():
    both = pair(**{name: value})
    assert differences.difference(*both) is None
    (words,) = differences.free_changes(*both)
    assert words.startswith(f"`{name.replace('__', '.')}")
  for length in ({"epochs": 2.0}, {"steps": 5}):
    assert differences.difference(*pair(**length)) is None
    assert differences.free_changes(*pair(**length)) == []


def test_other_data_are_named():
  changed = {"data": {**DATA, "train": "3"}}
  assert differences.difference(*pair(changed)) == (
    "the training data have changed: `data.name` 'digits' holds different content"
    " than when the run began"
  )
  words = differences.difference(*pair(changed, data__name="other"))
  assert "the training data differ: `data.name` is 'digits' there" in words
  held = {"data": DATA}, {"data": {**DATA, "eval": "3"}}
  assert "evaluation data have changed" in differences.difference(*held)
  held = [{"data": {**DATA, "vocabulary": v}} for v in "12"]
  assert "what a token means" in differences.difference(*held)


def test_without_digests_names_are_compared():
  """A checkpoint of an older version."""
  theirs, ours = pair(data__name="other")
  del theirs["data"]
  assert "`data.name` is 'digits' there" in differences.difference(theirs, ours)


def test_other_weights_are_named():
  theirs, ours = (
    {"config": config(init="a"), "init": "1"},
    {"config": config(init="b"), "init": "2"},
  )
  words = differences.difference(theirs, ours)
  assert words == (
    "`init` 'b', where it was 'a' holds different weights than when the run began"
  )
  ours["init"] = "1"
  assert differences.difference(theirs, ours) is None
  assert differences.free_changes(theirs, ours) == [
    "`init` is 'a' there and 'b' here"
  ]
  del ours["init"]  # gone: then its name has to be the same
  assert "`init` is 'a' there" in differences.difference(theirs, ours)


def test_fields_by_dotted_name():
  given = {"a": {"b": (1, [2]), "c": {"d": None}}, "e": 1.0}
  flat = {"a.b": [1, [2]], "a.c.d": None, "e": 1}
  assert differences.flat(given) == flat
  assert differences.flat(None) == {}
  assert differences.is_of("optim.bop.gamma", ["optim.bop"])
  assert not differences.is_of("optim.bop", ["optim.b", "optim.bop.gamma"])


def test_fields_that_are_not_the_default():
  changed = {"optim.lr": 0.5, "model.hidden": [8, 8], "model.name": "mlp"}
  got = differences.from_defaults(config(optim__lr=0.5))
  assert changed.items() <= got.items()
  assert "optim.name" not in got
