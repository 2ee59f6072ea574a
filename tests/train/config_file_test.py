"""Config files: what is run, read and refused, and how a run is named."""

import pytest

from bnnjax.train import config_file

CONFIG = """
from bnnjax import config as config_lib
def get_config(arg=""):
  config = config_lib.base()
  config.data.update(name="fake", shape=(4, 4, 1), num_classes=3)
  config.model = {"name": "mlp", "act": None, "weight": "ste", "hidden": (8,)}
  return config.lock()
"""


@pytest.fixture
def file(tmp_path):
  path = tmp_path / "tiny.py"
  path.write_text(CONFIG)
  return str(path)


def test_arguments_then_overrides(tmp_path):
  path = tmp_path / "x.py"
  path.write_text(
    "from bnnjax import config as config_lib\n"
    "def get_config(arg):\n"
    "  config = config_lib.base()\n"
    "  config.steps = config_lib.parse_arg(arg, n=1).n\n"
    "  return config.lock()\n"
  )
  got = config_file.read_unresolved(f"{path}:n=3", ["--config.seed=4"])
  assert (got.steps, got.seed, got.data.name) == (3, 4, "")  # not resolved
  assert got.is_locked
  assert (
    config_file.read_unresolved(f"{path}:n=3", ["--config.steps=5"]).steps == 5
  )


@pytest.mark.parametrize(
  ("text", "message"),
  [
    ("x = 1", "has no function `get_config"),
    ("get_config = lambda arg: {}", "must return a ConfigDict, got {}"),
    ("get_config = lambda: 1", "takes 0 positional arguments"),
    ("1 / 0", "division by zero"),
  ],
)
def test_a_file_that_is_no_config(tmp_path, text, message):
  path = tmp_path / "x.py"
  path.write_text(text)
  with pytest.raises(ValueError, match=message):
    config_file.read(str(path))


def test_load_is_a_tuple_of_files(tmp_path):
  path = tmp_path / "x.py"
  path.write_text(CONFIG.replace("return", "config.load = (3,)\n  return"))
  with pytest.raises(
    ValueError, match="'load' must be a tuple of Python files"
  ):
    config_file.read(str(path))


@pytest.mark.parametrize(
  ("spec", "name"),
  [
    ("configs/x.py", "x"),
    ("configs/x.py:smoke,width=0.5", "x-smoke-width=0.5"),
    ("a/x.py:teacher=runs/y/z/,seed=1", "x-teacher=z-seed=1"),
    ("a\\x.py:", "x"),
  ],
)
def test_the_name_of_a_run(spec, name):
  assert config_file.name_of(spec) == name


@pytest.mark.parametrize(
  ("word", "message"),
  [
    ("--config.steps=None", "'steps' must be an int, got None"),
    ("--config.optim.lr=nan", "'optim.lr' must be above 0"),
    (
      "--config.model.hidden=nan",
      "'Config field model.hidden' must be a number",
    ),
  ],
)
def test_what_the_check_of_a_config_refuses(file, word, message):
  with pytest.raises(ValueError, match=message):
    config_file.read(file, [word])


def test_a_config_holds_what_json_does(tmp_path):
  path = tmp_path / "odd.py"
  path.write_text(CONFIG.replace('"hidden": (8,)', '"hidden": {1: {2}}'))
  with pytest.raises(ValueError, match="must hold numbers, strings and tuples"):
    config_file.read(str(path))


def test_the_config_remembers_the_files_that_were_run(file, tmp_path):
  other = tmp_path / "other.py"
  other.write_text(f"open({str(tmp_path / 'ran')!r}, 'w').close()\n")
  assert config_file.read(file).load == ()
  assert config_file.read(file, load=["a.py"]).load == ("a.py",)
  assert not (tmp_path / "ran").exists()
  config = config_file.read(file, [f"--config.load=('{other}',)"], ["a.py"])
  assert config.load == ("a.py", str(other))
  assert (tmp_path / "ran").exists()
  with pytest.raises(ValueError, match="no file 'gone.py'"):
    config_file.read(file, ["--config.load=('gone.py',)"])


def test_a_file_without_a_name(tmp_path):
  for name in ("...py", ".py"):
    (tmp_path / name).write_text(CONFIG)
    with pytest.raises(ValueError, match="leaves no name"):
      config_file.read(str(tmp_path / name))


def test_read_resolves():
  """As code that reads a config file expects: every field is set."""
  spec = "configs/fashion_mnist_mini_pokebnn.py"
  assert config_file.read(spec).data.shape == (28, 28, 1)
  assert config_file.read_unresolved(spec).data.shape == ()
  with pytest.raises(ValueError, match="'optim.lr' must be above 0"):
    config_file.read(spec, ["--config.optim.lr=-1"])
