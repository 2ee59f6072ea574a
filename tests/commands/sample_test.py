"""`bnnjax sample`: texts on the screen, samples of other tasks in a file."""

import numpy as np
import pytest

from bnnjax import cli
from bnnjax.train import sample


@pytest.fixture
def command(tmp_path):
  (tmp_path / "config.json").write_text("{}")
  return ["sample", f"--workdir={tmp_path}"]


def test_texts(capsys, command, monkeypatch):
  """One appears piece by piece; several are numbered."""
  given = []

  def texts(workdir, prompts, tokens, *, batch, **options):
    given.append((prompts, tokens, options["top_k"], options["stop"]))
    number = len(prompts) * batch
    yield from ([f"a{i}" for i in range(number)], ["!"] * number)

  monkeypatch.setattr(sample, "is_text", lambda workdir: True)
  monkeypatch.setattr(sample, "sample", texts)
  assert cli.main(command) == 0
  assert capsys.readouterr().out == "\na0!\n"
  flags = ("--prompt=x", "--prompt=y", "--batch=2", "--tokens=3", "--top-k=4")
  assert cli.main([*command, *flags, "--stop=."]) == 0
  assert given == [(["\n"], 256, 0, []), (["x", "y"], 3, 4, ["."])]
  out = capsys.readouterr().out
  assert out.startswith("--- 1 of 4\nxa0!\n--- 2 of 4\nxa1!\n--- 3 of 4\nya2!")


@pytest.mark.parametrize(
  "flag", ["--prompt=a", "--tokens=0", "--ignore-end", "--temperature=0"]
)
def test_other_tasks_write_a_file(capsys, command, monkeypatch, flag):
  drawn = np.zeros((2, 3), np.float32)
  monkeypatch.setattr(sample, "is_text", lambda workdir: False)
  monkeypatch.setattr(
    sample, "write", lambda workdir, batch, **options: ("x.npy", drawn)
  )
  assert cli.main([*command, "--batch=2"]) == 0
  assert capsys.readouterr().out == "x.npy  float32 [2, 3]\n"
  assert cli.main([*command, flag]) == cli.USER
  err = " ".join(capsys.readouterr().err.split())
  assert f"{flag.partition('=')[0]} is for texts" in err
