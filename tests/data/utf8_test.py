"""What bytes are, said by their first ones; the command that converts them."""

import bz2
import gzip
import io
import lzma
import shutil
import subprocess
import zipfile

import pytest

from bnnjax.data import utf8

TEXT = "To be, or not to be: “ça”\r\n" * 9


def zipped(data):
  file = io.BytesIO()
  with zipfile.ZipFile(file, "w") as archive:
    archive.writestr("text", data)
  return file.getvalue()


KINDS = {
  "gzip": gzip.compress,
  "xz": lzma.compress,
  "bzip2": bz2.compress,
  "zip": zipped,
  "zstd": lambda data: b"\x28\xb5\x2f\xfd" + data,
}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("content", [TEXT.encode(), b""])
def test_compressed(tmp_path, kind, content):
  """The command gives the text, where its program is there to try."""
  path = tmp_path / "a text"
  path.write_bytes(KINDS[kind](content))
  with pytest.raises(ValueError, match=rf"is compressed \({kind}\)") as error:
    utf8.decode(path.read_bytes(), str(path))
  assert "latin1" not in str(error.value)
  command = str(error.value).split("`")[1]
  if kind != "zstd" and shutil.which(command.split()[0]):
    subprocess.run(command, shell=True, check=True)
    assert (tmp_path / "a text.utf8.txt").read_bytes() == content
  with pytest.raises(ValueError, match=r"`.* FILE > FILE.txt`"):
    utf8.decode(path.read_bytes(), "The feature 'text' of a record")


@pytest.mark.parametrize(
  "text", [TEXT, "plain words\nof ASCII\n", "слова по-русски\n", "हिन्दी में\n"]
)
@pytest.mark.parametrize(
  "encoding",
  ["utf-16", "utf-16-le", "utf-16-be", "utf-32", "utf-32-le", "utf-32-be"],
)
def test_wide_characters(tmp_path, encoding, text):
  """Without a mark they are UTF-8 with zeros, and would be read."""
  path = tmp_path / "text"
  path.write_bytes(text.encode(encoding))
  name = encoding[:6].upper()
  with pytest.raises(ValueError, match=f"is {name}.*, not UTF-8") as error:
    utf8.decode(path.read_bytes(), str(path))
  command = str(error.value).split("`")[1]
  if shutil.which("iconv"):
    subprocess.run(command, shell=True, check=True)
    assert (tmp_path / "text.utf8.txt").read_bytes().decode() == text


def test_byte_order_mark_is_no_character():
  assert utf8.decode(b"\xef\xbb\xbfa\xef\xbb\xbf", "") == "a\ufeff"
  with pytest.raises(ValueError, match="byte 0xff at offset 4"):
    utf8.decode(b"\xef\xbb\xbfa\xff", "it")


@pytest.mark.parametrize(
  "text",
  [
    "",
    "a",
    "a\0",
    "one\0two\0three\0",
    "1\n0\n1\n",
    "BZh91",
    "PK",
    "日本語",
    "\x1f",
  ],
)
def test_text_is_text(text):
  assert utf8.decode(text.encode(), "it") == text


@pytest.mark.parametrize(
  "text", ["日本語の文章です。\n" * 9, "中文文本，\n" * 9]
)
@pytest.mark.parametrize("encoding", ["utf-16le", "utf-16be"])
def test_wide_characters_of_the_far_east(text, encoding):
  with pytest.raises(ValueError, match=f"is {encoding.upper()}, not UTF-8"):
    utf8.decode(text.encode(encoding), "it")


@pytest.mark.parametrize(
  ("data", "what"),
  [
    (b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR", "is a PNG image, no text"),
    (b"%PDF-1.7\n%\xe2\xe3", "is a PDF, no text"),
    (b"SQLite format 3\0" + bytes(99), "is a database"),
    (b"a.txt".ljust(257, b"\0") + b"ustar\0" + bytes(99), r"\(tar\), no text"),
    (bytes(2000), "2000 of its first 2000 bytes are control characters"),
    (b"\xf4\0" + b"ab" * 99, r"offset 0\. It has zero bytes"),
    ("é".encode() * 99 + b"\xc3", "0xc3 at offset 198.*the file is cut"),
    ("naïf".encode("latin-1"), "0xef at offset 2.*iconv -f ENCODING .*latin1"),
    ("слова".encode("cp1251"), "iconv -f ENCODING .*cp1251"),
  ],
)
def test_no_text(data, what):
  with pytest.raises(ValueError, match=what):
    utf8.decode(data, "it")
