import dataclasses
import importlib.metadata
import importlib.util
import pickle
import runpy

import pytest

from bnnjax import data, models, tasks  # noqa: F401 (register theirs)
from bnnjax.core import registry


@pytest.fixture
def kind():
  with registry.restored():
    yield "test kind"


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
  with registry.restored():
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


@pytest.mark.parametrize(
  ("kind", "name", "want"),
  [
    ("estimator", "ste", {"clip": 1.0, "strict": False, "at_zero": 1}),
    ("estimator", "swish_sign", {"beta": 5.0, "at_zero": 1}),
    ("scale", "fixed", {"value": 1.0}),
    ("schedule", "linear", {"start": 0.0, "end": 1.0}),
    ("output", "rank1", {"size": 64}),
    ("output", "spatial_l1", {}),
    ("projection", "center_clamp", {"bound": 1.0}),
    ("distance", "mse", {}),
    ("augment", "flip", {"probability": 0.5}),
    ("method", "bireal", {}),
    ("task", "language_modeling", {"distill": None}),
    ("source", "digits", {}),
    ("source", "fashion_mnist", {"data_dir": None}),
  ],
)
def test_what_an_entry_accepts(kind, name, want):
  accepted = registry.accepts(kind, name)
  assert accepted.defaults == want
  assert list(accepted) == list(want)


def test_what_a_model_accepts():
  accepted = registry.accepts("model", "mlp")
  assert list(accepted)[:3] == ["num_classes", "image_shape", "hidden"]
  assert not {"self", "rngs"} & set(accepted)
  assert "num_classes" not in accepted.defaults
  with pytest.raises(ValueError, match="Did you mean 'mlp'"):
    registry.accepts("model", "mpl")


def test_an_open_ended_entry_takes_any_name(kind):
  registry.register(kind, "open")(lambda *, size=3, **more: None)
  accepted = registry.accepts(kind, "open")
  registry.check_names("option", ["anything"], accepted)
  registry.register(kind, "unhashable")([])
  assert not registry.accepts(kind, "unhashable")
  with pytest.raises(ValueError, match="Unknown option 'sise'"):
    registry.check_names("option", ["sise"], ["size"])


def test_restored():
  with registry.restored():
    registry.register("test kind", "one")(1)
    registry.register("estimator", "nothing")(2)
    assert "test kind" in registry.kinds()
  assert "test kind" not in registry.kinds()
  assert "nothing" not in registry.registered("estimator")
  with registry.restored():
    registry.register("estimator", "nothing")(3)  # no trace of the first


class Entry:
  """An entry point, as `importlib.metadata` has them."""

  def __init__(self, name, load):
    self.name, self.value, self.load = name, f"{name}.bnn", load


def test_plugins_register_any_kind_and_a_broken_one_breaks_only_itself(
  monkeypatch,
):
  def broken():
    raise RuntimeError("no such thing")

  def right():
    import bnnjax as bx  # as a plugin does

    @bx.source
    def theirs_too(split):
      pass

    assert "mlp" in registry.registered("model")  # it may look around

  found = {
    "bnnjax.methods": [Entry("theirs", broken)],
    "bnnjax.plugins": [Entry("right", right)],
  }
  monkeypatch.setattr(
    importlib.metadata, "entry_points", lambda group: found[group]
  )
  with registry.restored():
    with pytest.warns(
      UserWarning, match="'theirs' .theirs.bnn. cannot be imported"
    ):
      registry.load_plugins()
    assert "theirs_too" in registry.registered("source")
    with pytest.raises(
      ValueError, match="The plugin 'theirs' .* no such thing"
    ):
      registry.get("estimator", "theirs")


@pytest.mark.parametrize(
  ("error", "said"),
  [
    (SystemExit(3), r"SystemExit: 3\. "),
    (SystemExit(), r"SystemExit\. "),
    (RuntimeError("No such thing."), r"RuntimeError: No such thing\. "),
  ],
)
def test_a_plugin_that_ends_the_program_is_warned_of(monkeypatch, error, said):
  def ends():
    raise error

  found = {"bnnjax.methods": [], "bnnjax.plugins": [Entry("ends", ends)]}
  monkeypatch.setattr(
    importlib.metadata, "entry_points", lambda group: found[group]
  )
  with registry.restored():
    with pytest.warns(UserWarning, match=f"cannot be imported: {said}What"):
      registry.load_plugins()
    with pytest.raises(ValueError, match=said.rstrip() + "$"):
      registry.get("estimator", "theirs")


def test_the_first_look_loads_plugins(monkeypatch):
  asked = []
  spec = importlib.util.spec_from_file_location("fresh", registry.__file__)
  fresh = importlib.util.module_from_spec(spec)
  spec.loader.exec_module(fresh)

  def entry_points(group):
    asked.append(group)
    fresh.registered("scale")  # a plugin that looks does not load again
    return []

  monkeypatch.setattr(importlib.metadata, "entry_points", entry_points)
  for _ in range(2):
    assert fresh.registered("estimator") == []
    assert asked == ["bnnjax.plugins", "bnnjax.methods"]


def test_pick():
  table = {"18": "small", "50": "large"}
  assert registry.pick("variant", 18, table) == "small"
  with pytest.raises(ValueError, match="Unknown variant 'five'. Known: 18, 50"):
    registry.pick("variant", "five", table)


@pytest.mark.parametrize("kind", ["estimator", "scale", "transform", "grad"])
def test_what_is_registered_is_pickled_by_name(kind):
  for name, thing in registry.registered_table(kind).items():
    assert pickle.loads(pickle.dumps(thing)) is thing, name


def test_what_is_not_registered_is_pickled_by_its_fields():
  mine = dataclasses.replace(registry.get("estimator", "ste"), slope=len)
  back = pickle.loads(pickle.dumps(mine))
  assert back is not mine
  assert back == mine
