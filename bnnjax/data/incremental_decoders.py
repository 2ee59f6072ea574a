"""Incremental decoders: text of tokens, as they are generated.

  stream = tokenizer.stream(prompt)
  text = "".join(stream.push(token) for token in tokens) + stream.end()

Text that a later token could still change is held back: the first bytes of a
character, or a run of tokens that are decoded together.
"""

import codecs
from collections.abc import Callable, Container, Sequence


class ByteStream:
  """Decoder of tokens that stand for bytes of UTF-8.

  Args:
    pieces: the bytes of every token.
    prompt: tokens before the text; their own text is not returned.
  """

  def __init__(self, pieces: Sequence[bytes], prompt: Sequence[int] = ()):
    self._pieces = pieces
    self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
    for token in prompt:
      self.push(token)

  def push(self, token: int) -> str:
    """The characters that a token completes."""
    return self._decoder.decode(self._pieces[token])

  def end(self) -> str:
    """The text held back: U+FFFD for an incomplete character."""
    return self._decoder.decode(b"", final=True)


class TextStream:
  """Decoder of tokens whose text depends on the token before.

  Args:
    decode: text of tokens. More tokens only append to it, and what they append
      depends on no earlier token but the last one that has text, unless that is
      in `late`.
    late: tokens whose text the next token may change.
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
    """The text that has become final with a token."""
    self._tokens.append(token)
    return "" if token in self._late else self._take()

  def end(self) -> str:
    """The text held back."""
    return self._take()

  def _take(self) -> str:
    text = self._decode(self._tokens)
    new, self._given = text[self._given :], len(text)
    last = self._decode(self._tokens[-1:])
    if last:  # without one, the next token would be decoded as the first
      self._tokens, self._given = self._tokens[-1:], len(last)
    return new
