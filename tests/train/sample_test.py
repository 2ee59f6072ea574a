"""Sampling from a trained run: pieces that join to the text, bad input."""

import numpy as np
import pytest
import tokenizers

from bnnjax import cli, data
from bnnjax.data import lm_tokenizer
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


def word_piece(path):
  """Words, of which a decoder joins some and moves full stops."""
  entries = ["[UNK]", "the", "cat", "##s", "sat", ".", "caf", "##e"]
  model = tokenizers.models.WordPiece(
    {entry: token for token, entry in enumerate(entries)}, unk_token="[UNK]"
  )
  made = tokenizers.Tokenizer(model)
  made.normalizer = tokenizers.normalizers.BertNormalizer()
  made.pre_tokenizer = tokenizers.pre_tokenizers.BertPreTokenizer()
  made.decoder = tokenizers.decoders.WordPiece()
  made.save(str(path))
  return lm_tokenizer.of("bpe", vocab_file=str(path))


def test_pieces_join_to_what_all_tokens_decode_to(tmp_path):
  """Words go on from the prompt; its own text is not given again."""
  encoder = word_piece(tmp_path / "vocab.json")
  prompt, drawn = [1, 2], [3, 4, 5, 1, 6, 7]
  batches = (np.array([token, 5]) for token in drawn)
  texts = zip(*sample._pieces(encoder, batches, 2, prompt))
  assert ["".join(text) for text in texts] == ["s sat. the cafe", 6 * "."]
  assert encoder.decode([*prompt, *drawn]) == "the cats sat. the cafe"


def test_a_prompt_that_is_changed_is_said(tmp_path):
  encoder = word_piece(tmp_path / "vocab.json")
  with pytest.warns(
    UserWarning, match="reads the prompt 'The Caf\xe9' as 'the ca"
  ):
    sample._check_prompt(
      encoder, "The Caf\xe9", encoder.encode("The Caf\xe9"), "x"
    )
  with pytest.raises(ValueError, match="of x lacks 'g'"):
    sample._check_prompt(encoder, "the g", encoder.encode("the g"), "x")
  text = "the caf. cat\tcafe catg gs"
  with pytest.raises(ValueError, match="of x lacks 'catg gs'"):
    sample._check_prompt(encoder, text, encoder.encode(text), "x")


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
