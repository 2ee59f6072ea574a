import runpy

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


SOURCE = """
from bnnjax.core import registry
@registry.register("test kind", "two")
def formula(x):
  return x * {factor}
"""


def test_what_runs_again_takes_the_place_of_the_first(kind, tmp_path):
  """A cell of a notebook, a module that is loaded anew."""
  for factor in (2, 3):
    cell = {"__name__": "__main__"}
    exec(
      compile(SOURCE.format(factor=factor), f"<cell {factor}>", "exec"), cell
    )
    assert registry.get(kind, "two")(1) == factor
  with pytest.raises(
    ValueError,
    match=r"by __main__; .*registry_test.*formula needs another name",
  ):

    @registry.register(kind, "two")
    def formula(x):
      return x


def test_two_files_are_two_origins(kind, tmp_path):
  """`runpy` gives both of them one module's name."""
  for name in ("a.py", "b.py"):
    (tmp_path / name).write_text(SOURCE.format(factor=2))
  runpy.run_path(str(tmp_path / "a.py"))
  runpy.run_path(str(tmp_path / "a.py"))
  with pytest.raises(
    ValueError, match=r"by .*a\.py\.formula; .*b\.py\.formula"
  ):
    runpy.run_path(str(tmp_path / "b.py"))


def test_a_cell_may_register_estimators_and_methods_twice():
  cell = """
from bnnjax.core.estimator import estimator
from bnnjax.core.method import method
import jax.numpy as jnp
@estimator()
def celled(x, *, width={width}):
  return jnp.ones_like(x)
method("celled", paper="none", arxiv="", weight="celled(width={width})")
"""
  try:
    for width in (1.0, 2.0):
      exec(cell.format(width=width), {"__name__": "__main__"})
      assert registry.get("estimator", "celled").defaults == {
        "width": width, "at_zero": 1
      }  # fmt: skip
      preset = registry.get("method", "celled").weight
      assert preset.spec == f"celled(width={width})"
    with pytest.raises(
      ValueError, match="'ste' is registered already, by bnnjax"
    ):
      exec(
        cell.replace("celled", "ste").format(width=1.0),
        {"__name__": "__main__"},
      )
  finally:
    for kind in ("estimator", "method"):
      registry._TABLES[kind].pop("celled", None)
