"""Text of tokens as they come: its parts, joined, are the text of all.

  stream = tokenizer.stream(prompt)
  text = "".join(stream.push(token) for token in tokens) + stream.end()

What a later token could still change waits for it: the first bytes of a
character, or a run of tokens that are decoded at once.
"""

import codecs
from collections.abc import Callable, Container, Sequence


class ByteStream:
  """Of tokens that stand for bytes of UTF-8.

  Args:
    pieces: the bytes of every token.
    prompt: tokens that the text goes on from; theirs is not given.
  """

  def __init__(self, pieces: Sequence[bytes], prompt: Sequence[int] = ()):
    self._pieces = pieces
    self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
    for token in prompt:
      self.push(token)

  def push(self, token: int) -> str:
    """The characters that end with a token; none while one is unfinished."""
    return self._decoder.decode(self._pieces[token])

  def end(self) -> str:
    """What has waited: U+FFFD for bytes that no other completed."""
    return self._decoder.decode(b"", final=True)


class TextStream:
  """Of tokens whose text is a decoder's, which knows the one before.

  Args:
    decode: text of tokens. That of more tokens begins with it, and what they
      add depends on no token but the last that has text, unless in `late`.
    late: tokens whose text the next may change.
    prompt: as for `ByteStream`.
  """

  def __init__(
    self,
    decode: Callable[[Sequence[int]], str],
    late: Container[int],
    prompt: Sequence[int] = (),
  ):
    self._decode, self._late = decode, late
    self._tokens = list(prompt)
    self._given = len(decode(self._tokens))

  def push(self, token: int) -> str:
    """The text that is certain with a token, and was not before."""
    self._tokens.append(token)
    return "" if token in self._late else self._take()

  def end(self) -> str:
    """What has waited."""
    return self._take()

  def _take(self) -> str:
    text = self._decode(self._tokens)
    new, self._given = text[self._given :], len(text)
    last = self._decode(self._tokens[-1:])
    if last:  # else the next would be taken for the first
      self._tokens, self._given = self._tokens[-1:], len(last)
    return new
