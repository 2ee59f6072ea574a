"""Sampling from a trained run: pieces that join to the text, bad input."""

import numpy as np
import pytest

from bnnjax import cli, data
from bnnjax.train import config_file, loop, sample

CONFIG = "configs/plays_lm.py:method=bi_mamba,smoke"
PROMPT = "\u0101\u0102"  # of the fake text's letters


@pytest.fixture(scope="module")
def workdir(tmp_path_factory):
  folder = tmp_path_factory.mktemp("lm") / "run"
  loop.train(config_file.read(CONFIG), folder)
  return str(folder)


def test_texts_have_their_length_and_seed(workdir):
  def texts(**options):
    pieces = sample.sample(workdir, PROMPT, 12, batch=2, **options)
    return ["".join(text) for text in zip(*pieces)]

  first = texts()
  assert [len(text) for text in first] == [12, 12]
  assert first == texts()
  assert first != texts(seed=1)
  same = texts(temperature=0)
  assert same[0] == same[1]


def test_a_character_waits_for_its_last_byte():
  text = "a\u20acb\U0001f600."
  ids = data.tokenizer_of("plays_mini", tokenizer="bytes").encode(text)
  drawn = (np.array([token]) for token in ids)
  encoder = data.tokenizer_of("plays_mini", tokenizer="bytes")
  pieces = [piece for (piece,) in sample._pieces(encoder, drawn, 1)]
  assert "".join(pieces) == text
  assert pieces[:4] == ["a", "", "", "\u20ac"]


def test_bytes_that_are_no_character_do_not_wait_for_ever():
  encoder = data.tokenizer_of("plays_mini", tokenizer="bytes")
  drawn = (np.array([0x80]) for _ in range(9))
  pieces = [piece for (piece,) in sample._pieces(encoder, drawn, 1)]
  assert "".join(pieces) == 9 * "\ufffd"


def test_command(workdir, capsys):
  given = ["sample", f"--workdir={workdir}", f"--prompt={PROMPT}"]
  assert cli.main([*given, "--tokens=5"]) == 0
  (line,) = capsys.readouterr().out.splitlines()
  assert line.startswith(PROMPT)
  assert len(line) == 7
  assert cli.main([*given, "--tokens=5", "--batch=2", "--top-k=3"]) == 0
  heads = [x for x in capsys.readouterr().out.splitlines() if "---" in x]
  assert heads == ["--- 1 of 2", "--- 2 of 2"]


@pytest.mark.parametrize(
  ("options", "message"),
  [
    ({"prompt": "\u0101x\u0102"}, "lacks 'x'"),
    ({"prompt": ""}, "at least one token"),
    ({"prompt": "\udcff"}, r"The prompt is not UTF-8: got '\\udcff'"),
    ({"batch": 0}, "`batch` must be at least 1"),
    ({"top_p": 2.0}, "`top_p` must be in"),
    ({"workdir": "runs/nowhere"}, "runs/nowhere"),
  ],
)
def test_bad_input(workdir, options, message):
  given = {"workdir": workdir, "prompt": PROMPT, "length": 3, **options}
  with pytest.raises(ValueError, match=message):
    sample.sample(**given)
