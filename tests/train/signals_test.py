"""Ctrl-C at any moment of a program: the exit status says so, no crash."""

import os
import random
import subprocess
import sys

import pytest

CONFIG = """
from bnnjax import config as config_lib

def get_config(arg=""):
  config = config_lib.base()
  config.data.update(
    name="text_file", shape=(64,), vocab=256, batch_size=2, eval_batch_size=4,
    options={"path": "text.txt", "tokenizer": "bytes"},
  )
  config.model = {
    "name": "mamba", "features": 64, "blocks": 3, "state": 16, "head_size": 16,
    "weight": None, "chunk": 32,
  }
  config.task = {"name": "language_modeling"}
  config.steps = 5000
  return config.lock()
"""


# As `python -m bnnjax`; Ctrl-C comes some seconds after the start.
PROGRAM = """
import os, signal, sys, threading
signal.signal(signal.SIGINT, signal.default_int_handler)  # also in background
from bnnjax import cli
ctrl_c = (os.getpid(), signal.SIGINT)
timer = threading.Timer(float(sys.argv.pop(1)), os.kill, ctrl_c)
timer.daemon = True
timer.start()
sys.exit(cli.program())
"""


def interrupted(folder, seconds, *arguments):
  """Exit status and output."""
  done = subprocess.run(
    [sys.executable, "-c", PROGRAM, str(seconds), *arguments],
    cwd=folder,
    stdout=subprocess.PIPE,
    stderr=subprocess.STDOUT,
    env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    text=True,
    timeout=120,
  )
  return done.returncode, done.stdout


def test_in_the_middle_of_an_import(tmp_path):
  """An exception would leave jaxlib half imported."""
  assert interrupted(tmp_path, 0.2, "list") == (130, "Stopped.\n")


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(20))
def test_at_random_moments_of_a_run_on_text(tmp_path, seed):
  """Imports, compilation, steps, evaluations, checkpoints."""
  (tmp_path / "text.txt").write_text("To be or not to be. " * 3000)
  (tmp_path / "config.py").write_text(CONFIG)
  seconds = random.Random(seed).uniform(0, 15)
  arguments = ("train", "--config=config.py", "--workdir=run")
  code, out = interrupted(tmp_path, seconds, *arguments)
  assert code == 130, out
  assert "Stopped" in out.splitlines()[-1]
