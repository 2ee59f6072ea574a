import pytest

from bnnjax.core import registry


@pytest.fixture
def kind():
  yield "test kind"
  registry._TABLES.pop("test kind", None)


def test_register_get_list(kind):
  registry.register(kind, "one")(1)
  registry.register(kind, "one")(1)  # the same thing again: a reloaded module
  assert registry.get(kind, "one") == 1
  assert registry.registered(kind) == ["one"]
  with pytest.raises(ValueError, match="'one' is registered already"):
    registry.register(kind, "one")(2)


def test_nearest_name(kind):
  registry.register(kind, "channel_l1")(object())
  with pytest.raises(
    ValueError,
    match=r"Unknown test kind 'chanel_l1'. Did you mean 'channel_l1'\? Known: channel_l1\.",
  ):
    registry.get(kind, "chanel_l1")
  with pytest.raises(ValueError, match=r"Unknown test kind 'xyz'\. Known"):
    registry.get(kind, "xyz")


def test_filter_by_attribute():
  assert "ste" in registry.registered("estimator", alphabet=(-1, 1))
  assert "ste" not in registry.registered("estimator", alphabet=None)
