"""The command of a record, read by the parser of the command line."""

import json
import shlex

import pytest

from bnnjax import arguments
from bnnjax.errors import UserError
from bnnjax.train import config_file, differences, repeat
from bnnjax.train import workdir as workdir_lib

NET = "configs/fashion_mnist_resnet.py"
TEACHER = "runs/ablation/fashion_mnist_resnet-method=float-seed=0"
FILE = """
from bnnjax import config as config_lib

def get_config(arg=""):
  arg = config_lib.parse_arg(arg, lr=1.0, deep_net=False, seed=0)
  config = config_lib.base()
  config.seed = arg.seed
  config.data.name = "fake"
  config.model = {"name": "mlp", "features": (8, 8) if arg.deep_net else (8,)}
  config.optim.lr = arg.lr
  return config.lock()
"""


def record_of(spec, *overrides, **fields):
  """A record, as far as it is known before the run."""
  config = config_file.read(spec, overrides)
  name = config_file.name_of(spec)
  return {"name": name, "config": workdir_lib.to_json(config), **fields}


def repeated(command):
  """The config that a command line trains with."""
  args = arguments.parse(shlex.split(command)[1:])
  config = config_file.read(args.config, args.overrides, args.load)
  return workdir_lib.to_json(config)


@pytest.mark.parametrize(
  ("spec", "overrides"),
  [
    (f"{NET}:method=biper,seed=2", ()),
    (f"{NET}:method=reactnet,two_step,teacher={TEACHER}", ()),
    (f"{NET}:method=ste|channel_l1", ()),
    (NET, ("--config.seed=3", "--config.optim.lr=1e-05")),
    (NET, ("--config.data.augment=('flip',)", "--config.model.variant=10")),
    (
      NET,
      ("--config.model.activation=None", "--config.task.label_smoothing=.1"),
    ),
    (NET, ("--config.stages=({'until': 1.0, 'restart': True},)",)),
    (NET, ("--config.data.train_split=train[:50%]",)),
    ("configs/plays_lm.py:method=bi_mamba", ("--config.data.shape=(160,)",)),
  ],
)
def test_the_command_gives_the_config_of_the_record(spec, overrides):
  record = record_of(spec, *overrides)
  command = repeat.Commands().of(record)
  assert command.count("--config.") == len(overrides)
  assert repeated(command) == record["config"]
  if not overrides:
    assert command == shlex.join(["bnnjax", "train", f"--config={spec}"])


@pytest.fixture
def folder(tmp_path):
  (tmp_path / "net.py").write_text(FILE)
  (tmp_path / "net-deep.py").write_text(FILE)
  return tmp_path


@pytest.mark.parametrize(
  ("name", "args"),
  [
    ("net", ""),
    ("net-lr=1e-3-deep_net", ":lr=1e-3,deep_net"),
    ("net-deep-seed=1", ":seed=1"),
    ("net-seed=1-2", ":seed=1"),  # the second of its name in a sweep
  ],
)
def test_arguments_are_found_in_the_name(name, args, folder):
  stem = "net-deep" if name.startswith("net-deep") else "net"
  record = record_of(f"{folder}/{stem}.py{args}") | {"name": name}
  command = repeat.Commands(str(folder)).of(record)
  assert command == f"bnnjax train --config={folder}/{stem}.py{args}"


def test_a_field_that_a_record_is_too_old_for_has_its_default(folder):
  record = record_of(f"{folder}/net.py")
  del record["config"]["optim"]["ema"], record["config"]["data"]["vocab"]
  assert repeat.Commands(str(folder)).of(record).endswith("net.py")
  path = folder / "net.py"
  path.write_text(
    FILE.replace("  return", "  config.optim.ema = 0.9\n  return")
  )
  command = repeat.Commands(str(folder)).of(record)
  assert command.endswith("net.py --config.optim.ema=0")


def test_what_is_only_shown_or_where_it_runs_is_left_to_the_file(folder):
  record = record_of(f"{folder}/net.py", "--config.log_every=7")
  assert "log_every" not in repeat.Commands(str(folder)).of(record)


@pytest.mark.parametrize(
  ("change", "message"),
  [
    ({"name": "other"}, "no config file of its name"),
    ({"name": "network"}, "no config file of its name"),
    ({"load": ["mine.py"]}, "The run loaded Python files"),
    ({"model": {"name": "mlp"}}, "Its config lacks `model.features`"),
    ({"model": {"name": "mlp", "features": [8], "no": 1}}, "not take `no` any"),
    ({"model": {"name": "mine", "features": [8]}}, "'mine' is not known here"),
    ({"model": {"name": "mlp", "features": {"a": 1}}}, "model.features"),
    ({"task": {"name": "classification", "no": 1}}, "argument of task"),
    ({"gone": 1}, "Its config has `gone`"),
    ({"init": "a\u202eb"}, "characters that no terminal shows"),
    ({"init": "a\nb"}, "characters that no terminal shows"),
    ({"epochs": float("nan")}, "No override gives its `epochs`"),
  ],
)
def test_no_command_rather_than_a_wrong_one(change, message, folder):
  record = record_of(f"{folder}/net.py")
  record["name"] = change.pop("name", "net")
  record = json.loads(json.dumps(record))
  record["config"] |= change
  with pytest.raises(UserError, match=message):
    repeat.Commands(str(folder)).of(record)


def test_a_config_file_that_fails(folder):
  record = record_of(f"{folder}/net.py")
  (folder / "net.py").write_text("1 / 0")
  with pytest.raises(UserError, match="net.py does not run: .*division"):
    repeat.Commands(str(folder)).of(record)


def test_markup_and_quotes_are_quoted_for_a_shell(folder):
  path = "it's </script> $(rm) \u00e9"
  record = record_of(f"{folder}/net.py")
  record["config"]["init"] = path
  command = repeat.Commands(str(folder)).of(record)
  args = arguments.parse(shlex.split(command)[1:])
  config = config_file.read_unresolved(args.config, args.overrides)
  assert differences.flat(config)["init"] == path
