"""Mistakes in the arguments of `bx.ablate` are found before the first run."""

import pytest

import bnnjax as bx
from bnnjax.errors import UserError
from tests.evidence.ablate_test import config


@pytest.mark.parametrize(
  ("options", "says"),
  [
    ({"act": ["ste"]}, "nothing to compare"),
    ({"act": "ste"}, "`act` must be a list of specs, e.g. ['ste']"),
    ({"act": ["ste", "ste"]}, "names a spec twice"),
    ({"act": ["ste", "ste()"]}, "names a spec twice"),
    ({"act": [None, "float"]}, "names a spec twice"),
    ({"act": ["ste", "stee"]}, "`act`: Unknown"),
    ({"weight": ["ste", 3]}, "`weight` must hold specs as text"),
    ({"act": [bx.parse("ste", "act"), None]}, "`act` must hold specs as text"),
    ({"act": ["ste", None], "lr": 0.1}, "`lr` must be a list"),
    ({"act": ["ste", None], "lr": [0.1, 0.1]}, "different positive rates"),
    ({"act": ["ste", None], "lr": ["a", 0.1]}, "different positive rates"),
    ({"act": ["ste", None], "lr": [True]}, "different positive rates"),
    ({"act": ["ste", None], "seeds": 1}, "`seeds` must be 2 or more"),
    ({"act": ["ste", None], "held_out": 1.0}, "share between 0 and 1"),
    ({"act": ["ste", None], "held_out": "0.1"}, "share between 0 and 1"),
    ({"act": ["ste", None], "folder": ""}, "`folder` must be a path"),
  ],
)
def test_mistakes(options, says, tmp_path):
  with pytest.raises(UserError) as error:
    bx.ablate(config(), **{"folder": str(tmp_path / "x"), **options})
  assert says in str(error.value)
  assert not list(tmp_path.iterdir())


def test_a_model_without_binarizers_is_refused_first(tmp_path):
  for wrong in (3, lambda act: None):
    with pytest.raises(UserError, match="must be a config spec"):
      bx.ablate(wrong, act=["ste", None], folder=str(tmp_path / "x"))
  made = config()
  made.model.nmae = 3
  with pytest.raises(ValueError, match="nmae"):
    bx.ablate(made, act=["ste", None], folder=str(tmp_path / "x"))
  assert not list(tmp_path.iterdir())


def test_a_function_must_use_what_it_is_given(tmp_path):
  with pytest.raises(
    UserError, match=r"`config.model.act`.* got None for 'ste'"
  ):
    bx.ablate(lambda act: config(), act=["ste", None], folder=str(tmp_path))
