"""Texts of one's own: splits, and files that are no text."""

import gzip

import pytest

from bnnjax import data
from bnnjax.data import text_file

TEXT = "No profit grows where is no pleasure ta'en, süß “€” ou naïf:\n\n" * 20


def test_the_end_of_the_text_is_the_test_split(tmp_path):
  path = tmp_path / "text"
  path.write_text("ab" * 40)
  options = {"max_len": 4, "tokenizer": "bytes", "test_share": 0.25}
  # Windows of 4 tokens overlap by one.
  train, test = (
    data.load(f"text_file:{path}", split, **options)
    for split in ("train", "test")
  )
  assert (len(train), len(test)) == (1 + -(-56 // 3), 1 + -(-16 // 3))
  assert data.info(f"text_file:{path}", **options).vocab == 256


def test_files_that_are_no_text(tmp_path):
  with pytest.raises(data.DataNotFoundError, match=r"`data\.options\.path`"):
    data.load("text_file", path=str(tmp_path / "none"))
  with pytest.raises(data.DataNotFoundError, match="It is a folder"):
    text_file.read(str(tmp_path))
  path = tmp_path / "latin"
  path.write_bytes("naïf".encode("latin-1"))
  with pytest.raises(
    ValueError, match=r"latin is not UTF-8: byte 0xef at offset 2\. .*iconv"
  ):
    text_file.read(str(path))
  path = tmp_path / "empty"
  for content, message in ((b"", "holds nothing"), (b" \n", "white space")):
    path.write_bytes(content)
    with pytest.raises(ValueError, match=message):
      text_file.read(str(path))


def test_a_text_that_was_changed_is_read_again(tmp_path):
  path = tmp_path / "text"
  for text in ("abc" * 20, "other text" * 9):
    path.write_text(text)
    assert text_file.read(str(path)) == text


def test_marked_wide_and_compressed_text(tmp_path):
  path = tmp_path / "text"
  path.write_bytes(b"\xef\xbb\xbf" + TEXT.encode())
  assert text_file.read(str(path)) == TEXT
  path.write_bytes(TEXT.encode("utf-16"))
  with pytest.raises(ValueError, match=r"UTF-16.* `iconv -f utf-16 -t utf-8 /"):
    text_file.read(str(path.rename(tmp_path / "wide")))
  path.write_bytes(gzip.compress(TEXT.encode()))
  with pytest.raises(
    ValueError, match=r"compressed \(gzip\).* `gzip -dc /.* > /"
  ):
    text_file.read(str(path.rename(tmp_path / "packed")))


def test_line_ends_stay_as_they_are(tmp_path):
  path = tmp_path / "dos"
  path.write_bytes(b"a\r\nb\r\n" * 20)
  source = data.load("text_file", path=str(path), max_len=9, tokenizer="bpe")
  assert source.tokenizer.decode(source[0]["tokens"]).startswith("a\r\nb\r\n")
