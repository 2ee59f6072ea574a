"""Text of tokens as they come, equal to the text of all."""

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bnnjax.data import incremental_decoders

few = settings(max_examples=200, deadline=None, derandomize=True)


def streamed(stream, tokens):
  return [*map(stream.push, tokens), stream.end()]


@given(st.lists(st.binary(max_size=3)))
@few
def test_any_bytes_are_decoded_as_the_whole(pieces):
  stream = incremental_decoders.ByteStream(pieces)
  text = "".join(streamed(stream, range(len(pieces))))
  assert text == b"".join(pieces).decode(errors="replace")


def test_a_character_waits_for_its_last_byte():
  """Four tokens may share characters: none is damaged."""
  pieces = [b"a\xf0", b"\x9f\x98", b"\x80\xff\xe2", b"\x82\xac."]
  found = streamed(incremental_decoders.ByteStream(pieces), range(4))
  assert found == ["a", "", "\U0001f600\ufffd", "\u20ac.", ""]
  cut = streamed(incremental_decoders.ByteStream(pieces), [0, 1])
  assert cut == ["a", "", "\ufffd"]


def test_a_prompt_is_not_repeated():
  stream = incremental_decoders.ByteStream([b"a", b"\xc3", b"\xa9"], [0, 0, 1])
  assert streamed(stream, [2, 0]) == ["\xe9", "a", ""]


WORDS = ("", " ", "a", " b", "\n")


def decode(tokens):
  """The first space of all falls away; 9s stand for their number at the end."""
  out, run = "", 0
  for token in [*tokens, None]:
    if token == 9:
      run += 1
      continue
    out, run = out + (f"<{run}>" if run else ""), 0
    out += "" if token is None else WORDS[token]
  return out.removeprefix(" ")


@pytest.mark.parametrize("seed", range(20))
def test_of_a_decoder(seed):
  rng = random.Random(seed)
  tokens = rng.choices([0, 1, 2, 3, 4, 9], k=30)
  prompt = rng.choices([0, 1, 2, 3, 4], k=rng.randrange(3))
  stream = incremental_decoders.TextStream(decode, {9}, prompt)
  found = streamed(stream, tokens)
  assert decode(prompt) + "".join(found) == decode(prompt + tokens)
  waits = streamed(
    incremental_decoders.TextStream(decode, range(10), prompt), tokens
  )
  assert "".join(waits) == "".join(found) == waits[-1]
