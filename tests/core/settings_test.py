import pytest

from bnnjax.core.settings import Settings

DEFAULTS = {"lr": 1.0, "end": 0.0, "sizes": (1, 2), "name": ""}


def test_what_was_read_and_what_is_like_the_default_may_stay():
  settings = Settings("group", {"lr": 2.0, "end": 0, "sizes": [1, 2]}, DEFAULTS)
  assert settings["lr"] == 2.0
  settings.refuse_unread()  # 0 is 0.0, and a list may stand for a tuple
  assert settings.read == {"lr"}
  assert len(settings) == 4
  assert list(settings) == list(DEFAULTS)


def test_a_choice_that_nothing_reads():
  settings = Settings("group", {"end": 0.5}, DEFAULTS)
  assert settings["lr"] == 1.0
  with pytest.raises(
    ValueError,
    match=r"Nothing reads `group.end` as x, got 0.5: leave it out. Read are lr.",
  ):
    settings.refuse_unread("as x")


def test_a_strict_group_takes_the_default_for_a_choice():
  with pytest.raises(ValueError, match=r"reads `group.end`, got 0.0.*\(none\)"):
    Settings("group", {"end": 0.0}, DEFAULTS, strict=True).refuse_unread()


def test_a_number_is_no_bool():
  with pytest.raises(ValueError, match="reads `group.lr`, got True"):
    Settings("group", {"lr": True}, DEFAULTS, strict=True).refuse_unread()


def test_unknown():
  with pytest.raises(ValueError, match="field of `group` 'nam'.*'name'"):
    Settings("group", {"nam": 1}, DEFAULTS)
