"""The table of fields, and what is printed of it."""

import pytest

from bnnjax import cli
from bnnjax.train import config_fields

CONFIG = """
from bnnjax import config as config_lib
def get_config(arg=""):
  config = config_lib.base()
  config.data.update(name="fake", shape=(4, 4, 1), num_classes=3)
  config.model = {"name": "mlp", "act": None, "weight": "ste", "hidden": (8,)}
  return config.lock()
"""


def test_defaults_are_those_of_the_table():
  config = config_fields.base()
  for name, field in config_fields.FIELDS.items():
    if name not in config_fields.OPEN:
      assert config[name] == field.default
  config.optim.lr = 7.0
  config.new = 1  # unlocked
  assert config_fields.base().optim.lr == config_fields.FIELDS["optim.lr"][0]


@pytest.mark.parametrize(
  ("name", "expected"),
  [
    ("model.width", True),
    ("optim.options.b1", True),
    ("optim.lr", False),
    ("model", False),
    ("modelx.y", False),
  ],
)
def test_open_groups_take_any_name(name, expected):
  assert config_fields.is_open(name) is expected


@pytest.mark.parametrize(
  ("value", "expected"),
  [
    ((1, [2.0, None], {"a": ("x", True)}), True),
    ({1: 2}, False),
    ({"a": {2}}, False),
    (({"a": print},), False),
  ],
)
def test_plain_values_are_those_of_json(value, expected):
  assert config_fields.is_plain(value) is expected


def test_every_field_is_listed_with_its_meaning(capsys, tmp_path):
  file = tmp_path / "tiny.py"
  file.write_text(CONFIG)
  assert (
    cli.main(["train", f"--config={file}", "--fields", "--config.steps=3"]) == 0
  )
  out = capsys.readouterr().out
  for name, field in config_fields.FIELDS.items():
    assert f"\n{name}: {type(field.default).__name__}" in f"\n{out}"
    assert f"    {field.meaning}\n" in out
  assert (
    "steps: int = 0\n    optimizer steps of the run; 0: as `epochs` says\n    here: 3"
    in out
  )
  assert "here: model.weight = 'ste'" in out
