import errno
import json
import os
import sys

import pytest
from etils import epath

from bnnjax.train import writers
from bnnjax.train.display import Display


def test_jsonl_and_tensorboard(tmp_path):
  from tensorboardX import proto  # noqa: F401 (the extra is installed)

  log = writers.Log(epath.Path(tmp_path), 9, tensorboard=True)
  log.evaluation(3, 1.0, None, {"loss": 0.5})
  log.close()
  lines = (tmp_path / "metrics.jsonl").read_text().splitlines()
  assert [json.loads(x) for x in lines] == [{"step": 3, "eval_loss": 0.5}]
  (events,) = (tmp_path / "tensorboard").iterdir()
  assert b"eval_loss" in events.read_bytes()


def _file(tmp_path, *lines):
  file = epath.Path(tmp_path) / "metrics.jsonl"
  file.write_bytes(b"".join(lines))
  return file


ONE, TWO, THREE = (b'{"step": %d, "loss": 0.5}\n' % n for n in (1, 2, 3))


@pytest.mark.parametrize("rest", [b"", THREE[:-5], THREE[:-1], THREE[:1]])
def test_lines_after_the_checkpoint_go(tmp_path, rest):
  """With what a kill has left of a last one; a new file takes the place."""
  file = _file(tmp_path, ONE, TWO, rest)
  for step, kept in ((2, ONE + TWO), (1, ONE), (0, b"")):
    writers.check_lines(file)
    writers.truncate(file, step)
    assert file.read_bytes() == kept
  assert [p.name for p in file.parent.iterdir()] == ["metrics.jsonl"]


def test_a_last_line_without_an_end_is_ended_if_it_is_whole(tmp_path):
  file = _file(tmp_path, ONE, TWO[:-1])
  writers.truncate(file, 2)
  assert file.read_bytes() == ONE + TWO


def test_a_file_is_replaced_only_if_something_goes(tmp_path, monkeypatch):
  file = _file(tmp_path, ONE, TWO)
  before = os.stat(file).st_ino
  writers.truncate(file, 2)
  assert os.stat(file).st_ino == before

  def killed(*_):
    raise KeyboardInterrupt

  monkeypatch.setattr(os, "replace", killed)
  monkeypatch.setattr(os, "rename", killed)
  with pytest.raises(KeyboardInterrupt):
    writers.truncate(file, 1)
  assert file.read_bytes() == ONE + TWO  # the whole of it


@pytest.mark.parametrize(
  "line",
  [
    b"x", b"", b"3", b"null", b"[]", b'"step"', b"{}", b'{"step": "1"}',
    b'{"step": true}', b'{"step": 1.5}', b'{"step": null}', b'{"step": -1}',
    b'{"step": 1', b"\0" * 20, b"\xff", b"[" * 100_000, b"1" * 5000,
  ],
)  # fmt: skip
def test_damaged_lines_are_named(tmp_path, line):
  """Before anything is written."""
  file = _file(tmp_path, ONE, line + b"\n", TWO)
  for read in (
    lambda: writers.check_lines(file),
    lambda: writers.truncate(file, 1),
  ):
    with pytest.raises(ValueError, match=r"metrics.jsonl, line 2: not a JSON"):
      read()
  assert file.read_bytes() == ONE + line + b"\n" + TWO


def test_no_file_is_no_damage(tmp_path):
  writers.check_lines(tmp_path / "metrics.jsonl")


def test_a_line_that_cannot_be_written(tmp_path, monkeypatch):
  out = writers.JsonlWriter(epath.Path(tmp_path) / "metrics.jsonl")
  out.write_scalars(1, {"loss": 0.5})
  with monkeypatch.context() as patch:
    patch.setattr("builtins.open", _full)
    with pytest.raises(OSError, match="No space left .*metrics.jsonl"):
      out.write_scalars(2, {"loss": 0.5})
  out.write_scalars(2, {"loss": 0.5})
  assert (tmp_path / "metrics.jsonl").read_bytes() == ONE + TWO


def _full(*_, **__):
  raise OSError(errno.ENOSPC, "No space left on device")


def test_missing_extra_is_named(tmp_path, monkeypatch):
  monkeypatch.setitem(sys.modules, "tensorboardX", None)
  with pytest.raises(ValueError, match=r"pip install 'bnnjax\[tensorboard\]'"):
    writers.Log(epath.Path(tmp_path), 9, tensorboard=True)


@pytest.mark.parametrize(
  ("data", "speed", "shown"),
  [
    ({"vocab": 0}, {}, "2.5 steps/s  20 examples/s"),
    (
      {"vocab": 9, "batch_size": 8, "shape": (100,)},
      {"tokens_per_s": 2000.0},
      "2.5 steps/s  2,000 tokens/s",
    ),
  ],
)
def test_what_an_interval_says(
  tmp_path, capsys, monkeypatch, data, speed, shown
):
  """The file has all of it; for texts the screen has tokens, not examples."""
  monkeypatch.setattr(Display, "EVERY", 0.0)
  log = writers.Log(epath.Path(tmp_path), 100)
  more = {"lr": 1e-3, "lr_latent": 0.01, **writers.speeds(2.5, data)}
  scalars = {"loss": 0.5, "grad_norm": 1.25, "flip_ratio": 0.1}
  log.interval(10, scalars, 20.0, ["loss", "perplexity"], more)
  log.close()
  (line,) = (tmp_path / "metrics.jsonl").read_text().splitlines()
  assert json.loads(line) == {
    "step": 10,
    **{f"train_{k}": v for k, v in scalars.items()},
    **{"examples_per_s": 20.0, "steps_per_s": 2.5, **speed},
    **{"lr": 1e-3, "lr_latent": 0.01},
  }
  assert capsys.readouterr().out.startswith(
    "step 10/100  loss 0.5  grad norm 1.25  lr 0.001  lr latent 0.01"
    f"  {shown}  "
  )


def test_silent_on_other_processes(capsys, tmp_path):
  log = writers.Log(epath.Path(tmp_path), 9, tensorboard=True, active=False)
  log.interval(1, {"loss": 1.0}, 2.0, ["loss"])
  log.evaluation(1, 1.0, 1.0, {"loss": 1.0})
  log.close()
  assert not capsys.readouterr().out
  assert not list(tmp_path.iterdir())
