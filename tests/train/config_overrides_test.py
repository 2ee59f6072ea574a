"""`--config.FIELD=VALUE`, and the list of fields."""

import pytest
from ml_collections import ConfigDict

from bnnjax import cli
from bnnjax import config as config_lib
from bnnjax.train import config_fields, config_file, config_overrides

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


def apply(*words):
  config = ConfigDict(config_lib.base())
  config.model = {
    "name": "mlp", "act": None, "weight": "ste", "hidden": (8,), "width": 1,
    "inner": {"a": 1}, "variant": "18", "bias": True,
  }  # fmt: skip
  config_overrides.apply(config, config_overrides.pairs(words))
  return config


@pytest.mark.parametrize(
  ("word", "field", "value"),
  [
    ("model.act=ste", "model.act", "ste"),  # None -> value
    ("model.weight=None", "model.weight", None),  # value -> None
    ("model.act=None", "model.act", None),
    ("model.new=4", "model.new", 4),
    ("model.new=ste|channel_l1", "model.new", "ste|channel_l1"),
    ("model.variant=34", "model.variant", "34"),  # text stays text
    ("model.width=0.5", "model.width", 0.5),
    ("model.hidden=[4, 4]", "model.hidden", (4, 4)),
    ("model.inner.a=2", "model.inner.a", 2),
    ("model.bias=false", "model.bias", False),
    ("optim.lr=1", "optim.lr", 1.0),
    ("optim.lr=1e-2", "optim.lr", 0.01),
    ("optim.name=sgd", "optim.name", "sgd"),
    ("optim.options.b1=0.5", "optim.options.b1", 0.5),
    ("optim.bop.gamma=1e-3", "optim.bop.gamma", 1e-3),
    ("data.shape=28,28,1", "data.shape", (28, 28, 1)),
    ("data.augment=flip", "data.augment", "flip"),
    ("stages=({'until': 1.0},)", "stages", ({"until": 1.0},)),
    ("events=((0.5, 'calibrate'),)", "events", ((0.5, "calibrate"),)),
    ("tensorboard=true", "tensorboard", True),
    ("tensorboard", "tensorboard", True),
    ("init=", "init", ""),
    ("init=a=b", "init", "a=b"),
  ],
)
def test_a_value_is_read_by_the_type_of_its_field(word, field, value):
  config = apply(f"--config.{word}")
  for part in field.split("."):
    config = config[part]
  got = tuple(map(dict, config)) if field == "stages" else config
  assert got == value
  assert type(got) is type(value)


def test_flags_may_be_repeated_and_negated():
  config = apply(
    "--config.steps=1", "--config.steps=2", "--noconfig.tensorboard"
  )
  assert config.steps == 2
  assert config.tensorboard is False


@pytest.mark.parametrize(
  ("word", "message"),
  [
    ("--config.model=3", "'model' has fields"),
    ("--config.optim=x", r"'optim' has fields \(name, lr"),
    ("--config.model.inner=3", r"'model.inner' has fields \(a\)"),
    ("--config.model.act.x=3", "'model.act' is None here and has no fields"),
    ("--config.optm.lr=1", "Did you mean 'config.optim.lr'"),
    ("--config.seed.x=1", "Unknown config field 'config.seed.x'"),
    ("--config.model..x=1", "Unknown config field"),
    ("--config.=1", "Unknown config field"),
    ("--config.stages[0]=1", "Did you mean 'config.stages'"),
    ("--config.optim.lr=x", "must be a number, got 'x'"),
    ("--config.optim.lr=True", "must be a number, got 'True'"),
    ("--config.optim.lr", "needs a value"),
    ("--noconfig.steps", "needs a value"),
    ("--config.steps=1.5", "must be a whole number, got '1.5'"),
    ("--config.steps=1e3", "must be a whole number"),
    ("--config.steps=10**400", "must be a number"),
    (f"--config.optim.lr=1{'0' * 400}", "must be a finite number"),
    (f"--config.steps={'9' * 5000}", "must be a whole number"),
    ("--config.data.shape=4", r"must be a tuple, written \(1, 2\)"),
    ("--config.stages={1}", "must be a tuple"),
    (f"--config.events={'(' * 9000}", "must be a tuple"),
    ("--config.tensorboard=2", "must be true or false"),
    ("--foo=1", "An override is written --config.FIELD=VALUE"),
  ],
)  # fmt: skip
def test_what_cannot_be_meant(word, message):
  with pytest.raises(ValueError, match=message):
    apply(word)


@pytest.mark.parametrize(
  ("word", "message"),
  [
    ("--config.steps=None", "'steps' must be a int, got None"),
    ("--config.optim.lr=nan", "'optim.lr' must be above 0"),
    (
      "--config.model.hidden=nan",
      "'Config field model.hidden' must be a number",
    ),
  ],
)
def test_what_the_check_of_a_config_refuses(file, word, message):
  with pytest.raises(ValueError, match=message):
    config_lib.resolve(config_file.read(file, [word]))


def test_a_config_holds_what_json_does(tmp_path):
  path = tmp_path / "odd.py"
  path.write_text(CONFIG.replace('"hidden": (8,)', '"hidden": {1: {2}}'))
  with pytest.raises(ValueError, match="must be of numbers, texts and tuples"):
    config_lib.resolve(config_file.read(str(path)))


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


def test_every_field_is_listed_with_its_meaning(capsys, file):
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
  config = config_lib.base()
  config.name = 1
  with pytest.raises(ValueError, match="Unknown config field 'name'"):
    config_lib.resolve(config)
