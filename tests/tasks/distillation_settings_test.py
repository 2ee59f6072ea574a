"""Fields, presets and matches of `distill`, as they are read."""

import pytest

from bnnjax.tasks import distillation_settings


def test_a_preset_gives_fields_which_others_override():
  read = distillation_settings.read
  given = read({"teacher": "x", "preset": "bibert", "logit_weight": 2.0})
  assert (given["label_weight"], given["logit_weight"]) == (0.5, 2.0)
  assert set(given["match"].values()) == {"direction"}
  assert read(None)["match"] == {}


def test_matches_have_a_weight_of_one():
  parsed = distillation_settings.parse_match(
    {"queries": "direction", "hidden_states": ("mse", 0.1)}
  )
  assert parsed == {
    "queries": ("direction", 1.0),
    "hidden_states": ("mse", 0.1),
  }


@pytest.mark.parametrize(
  ("settings", "message"),
  [
    ("bibert", "is a dict of settings with `teacher`, got 'bibert'"),
    ({"preset": "bibert"}, "needs `teacher`"),
    # A typo is told before what is missing.
    ({"preste": "bibert"}, "Did you mean 'preset'"),
    ({"teacher": "x", "preset": "bibart"}, "Did you mean 'bibert'"),
    ({"teacher": "x", "class_mean": 1}, "must be True or False, got 1"),
  ],
)
def test_bad_settings(settings, message):
  with pytest.raises(ValueError, match=message):
    distillation_settings.read(settings)


@pytest.mark.parametrize(
  ("match", "message"),
  [
    ({"query": "direction"}, "Did you mean 'queries'"),
    ({"queries": "directon"}, "Did you mean 'direction'"),
    ({"queries": ("mse", -1)}, "must be 0 or above, got -1"),
    ({"queries": ("mse", "x")}, "must be 0 or above, got 'x'"),
    ({"queries": ("mse",)}, r"\(distance, weight\), got \('mse',\)"),
    ("bibert", "maps names to distances.* `preset`"),
  ],
)
def test_bad_matches(match, message):
  with pytest.raises(ValueError, match=message):
    distillation_settings.parse_match(match)
