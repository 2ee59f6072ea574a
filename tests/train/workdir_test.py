"""The folder of a run: what it holds, and what is no folder of a run."""

import json

import pytest

from bnnjax import config as config_lib
from bnnjax.errors import UserError
from bnnjax.train import evaluate, loop
from bnnjax.train import workdir as workdir_lib
from tests.train.small_runs import tiny


def test_workdir_with_a_damaged_config(tmp_path):
  for text in ("", "{", "[1]"):
    (tmp_path / "config.json").write_text(text)
    with pytest.raises(ValueError, match=r"config.json is not a config"):
      loop.train(tiny(), tmp_path)
    with pytest.raises(ValueError, match=r"config.json is not a config"):
      evaluate.evaluate(tmp_path)


def test_workdir_that_cannot_be_written(tmp_path):
  (tmp_path / "file").write_text("")
  with pytest.raises(ValueError, match=r"cannot be written.*--workdir"):
    loop.train(tiny(), tmp_path / "file" / "run")
  with pytest.raises(ValueError, match="is a file"):
    loop.train(tiny(), tmp_path / "file")
  with pytest.raises(ValueError, match="cannot hold checkpoints"):
    loop.train(tiny(), tmp_path / "\\")


def test_a_workdir_may_be_given_by_a_detour(tmp_path):
  config = tiny()
  config.steps = 1
  result = loop.train(config, f"{tmp_path}/x/..//run")
  assert (tmp_path / "run" / "checkpoints" / "last" / "1").is_dir()
  assert result.metrics


def test_a_config_is_stored_and_read_back(tmp_path):
  assert workdir_lib.stored_config(tmp_path) is None
  config = config_lib.resolve(tiny())
  workdir_lib.write_config(workdir_lib.make(tmp_path), config)
  assert workdir_lib.stored_config(tmp_path) == config
  assert workdir_lib.read_config(tmp_path) == config
  assert [p.name for p in tmp_path.iterdir()] == ["config.json"]
  assert workdir_lib.from_json([1, [2], {"a": [3]}]) == (1, (2,), {"a": (3,)})


def test_the_config_of_a_checkpoint(tmp_path):
  """That in its info; the file beside it has to say the same."""
  config = config_lib.resolve(tiny())
  made_by = json.loads(json.dumps(workdir_lib.to_json(config)))
  info = {"config": made_by}
  assert workdir_lib.config_of(tmp_path, config, info) == made_by
  assert workdir_lib.config_of(tmp_path, None, info) == made_by
  assert workdir_lib.config_of(tmp_path, config, {}) == made_by
  with pytest.raises(UserError, match="of an older version, but no config"):
    workdir_lib.config_of(tmp_path, None, {})
  other = tiny()
  other.optim.lr = 0.5
  with pytest.raises(UserError, match="was changed after .*`optim.lr`"):
    workdir_lib.config_of(tmp_path, config_lib.resolve(other), info)
