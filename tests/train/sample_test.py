"""Sampling from a trained run: pieces that join to the text, bad input."""

import numpy as np
import pytest
import tokenizers

from bnnjax import cli, data
from bnnjax.data import embedded, incremental_decoders, lm_tokenizers
from bnnjax.train import config_file, loop, sample

CONFIG = "configs/plays_lm.py:method=bi_mamba,smoke"
PROMPT = "\u0101\u0102"  # of the fake text's letters


def pieces_of(streams, drawn, stop=(), ends=()):
  texts = [sample.StoppedText(stream, stop, ends) for stream in streams]
  return sample.pieces(texts, drawn)


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


def test_prompts_of_different_lengths_and_stop_texts(workdir):
  prompts = [PROMPT, PROMPT[:1], 3 * PROMPT]

  def texts(**options):
    pieces = sample.sample(
      workdir, prompts, 12, batch=2, temperature=0, **options
    )
    return ["".join(text) for text in zip(*pieces)]

  whole = texts()
  assert whole[::2] == whole[1::2]
  assert len(set(whole)) == 3
  stop = [whole[0][3:5], whole[2][6], whole[4][-1]]
  found = [[n for n in map(text.find, stop) if n >= 0] for text in whole]
  assert texts(stop=stop) == [t[: min(n)] for t, n in zip(whole, found)]
  assert len(texts(stop=stop)[0]) <= 3


def test_a_character_waits_for_its_last_byte():
  text = "a\u20acb\U0001f600."
  ids = data.tokenizer_of("plays_mini", tokenizer="bytes").encode(text)
  drawn = (np.array([token]) for token in ids)
  encoder = data.tokenizer_of("plays_mini", tokenizer="bytes")
  pieces = [piece for (piece,) in pieces_of([encoder.stream()], drawn)]
  assert "".join(pieces) == text
  assert pieces[:4] == ["a", "", "", "\u20ac"]


def test_what_may_begin_a_stop_text_is_held_back():
  stream = incremental_decoders.ByteStream([bytes([n]) for n in range(256)])
  text = sample.StoppedText(stream, ["abc"], ())
  got = [text.push(byte) for byte in b"xabdabcy"]
  assert got == ["x", "", "", "abd", "", "", "", ""]
  assert text.ended


def test_bytes_that_are_no_character_do_not_wait_for_ever():
  encoder = data.tokenizer_of("plays_mini", tokenizer="bytes")
  drawn = (np.array([0x80]) for _ in range(9))
  pieces = [piece for (piece,) in pieces_of([encoder.stream()], drawn)]
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
  return lm_tokenizers.make_tokenizer("bpe", vocab_file=str(path))


def test_pieces_join_to_what_all_tokens_decode_to(tmp_path):
  """Words go on from the prompt; its own text is not given again."""
  encoder = word_piece(tmp_path / "vocab.json")
  prompt, drawn = [1, 2], [3, 4, 5, 1, 6, 7]
  batches = (np.array([token, 5]) for token in drawn)
  texts = zip(*pieces_of([encoder.stream(prompt) for _ in range(2)], batches))
  assert ["".join(text) for text in texts] == ["s sat. the cafe", 6 * "."]
  assert encoder.decode([*prompt, *drawn]) == "the cats sat. the cafe"


@pytest.mark.parametrize(
  "stop", [["aab"], ["ba", "abb"], ["aabab", "b"], ["c"]]
)
def test_a_text_ends_before_the_first_stop_text(stop):
  """In whatever pieces it comes; nothing is given that is not certain."""
  rng = np.random.default_rng(0)
  for _ in range(50):
    text = "".join(rng.choice(list("ab"), 20))
    ends = [n for n in range(20) if text[: n + 1].endswith(tuple(stop))]
    want = text
    if ends:
      whole = text[: ends[0] + 1]
      want = whole[: -max(len(s) for s in stop if whole.endswith(s))]
    cuts = sorted(rng.integers(0, 21, 6))
    pieces = [text[a:b].encode() for a, b in zip([0, *cuts], [*cuts, 20])]
    drawn = (np.array([n]) for n in range(7))
    got = "".join(
      piece
      for (piece,) in pieces_of(
        [incremental_decoders.ByteStream(pieces)], drawn, stop
      )
    )
    assert got == want


def test_an_end_of_text_token_ends_a_text(tmp_path):
  path = tmp_path / "vocab.json"
  made = tokenizers.Tokenizer.from_str(embedded.PLAYS_BPE.read_text())
  made.add_special_tokens(["<|endoftext|>"])
  made.save(str(path))
  encoder = lm_tokenizers.make_tokenizer("bpe", vocab_file=str(path))
  (end,) = encoder.ends
  assert encoder.decode([end]) == "<|endoftext|>"
  assert lm_tokenizers.make_tokenizer("bpe").ends == ()
  first, second = encoder.encode("to be"), encoder.encode("or not to be")
  width = max(len(first), len(second)) + 1
  rows = [[*row, *[end] * (width - len(row))] for row in (first, second)]
  drawn = (np.array(tokens) for tokens in zip(*rows))
  texts = zip(
    *pieces_of([encoder.stream(), encoder.stream()], drawn, (), (end,))
  )
  assert ["".join(text) for text in texts] == ["to be", "or not to be"]


def test_a_prompt_that_is_changed_is_said(tmp_path):
  encoder = word_piece(tmp_path / "vocab.json")
  with pytest.warns(
    UserWarning, match="reads the prompt 'The Caf\xe9' as 'the ca"
  ):
    sample.encode_prompt(encoder, "The Caf\xe9", "x")
  with pytest.raises(ValueError, match="of x lacks 'g'"):
    sample.encode_prompt(encoder, "the g", "x")
  text = "the caf. cat\tcafe catg gs"
  with pytest.raises(ValueError, match="of x lacks 'catg gs'"):
    sample.encode_prompt(encoder, text, "x")


def test_command(workdir, capsys):
  given = ["sample", f"--workdir={workdir}", f"--prompt={PROMPT}"]
  assert cli.main([*given, "--tokens=5"]) == 0
  (line,) = capsys.readouterr().out.splitlines()
  assert line.startswith(PROMPT)
  assert len(line) == 7
  assert cli.main([*given, "--tokens=5", "--batch=2", "--top-k=3"]) == 0
  heads = [x for x in capsys.readouterr().out.splitlines() if "---" in x]
  assert heads == ["--- 1 of 2", "--- 2 of 2"]
  # The same program: two prompts, one text of each.
  given += [f"--prompt={PROMPT[::-1]}", "--tokens=5", "--top-k=3", "--stop=xy"]
  assert cli.main([*given, "--ignore-end"]) == 0
  lines = capsys.readouterr().out.splitlines()
  assert lines[::2] == heads
  assert [line[:2] for line in lines[1::2]] == [PROMPT, PROMPT[::-1]]


@pytest.mark.parametrize(
  ("options", "message"),
  [
    ({"prompt": "\u0101x\u0102"}, "lacks 'x'"),
    ({"prompt": ""}, "The prompt '' has no token"),
    ({"prompt": []}, "at least one prompt"),
    ({"prompt": [PROMPT, ""]}, "The prompt '' has no token"),
    ({"stop": ["a", ""]}, r"texts that are not empty, got \['a', ''\]"),
    ({"stop": "ab"}, "`stop` is a sequence of texts.*got 'ab'"),
    ({"seed": 2**32}, r"`seed` must be in \[0, 4294967295\], got 4294967296"),
    (
      {"temperature": float("inf")},
      "`temperature` must be 0 or above, got inf",
    ),
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
