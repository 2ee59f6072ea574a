"""Decodes UTF-8; errors name the actual format and a command to convert it.

A byte order mark at the start is removed.
"""

import pathlib
import re
import shlex
import unicodedata

_START = 4096  # bytes to inspect
_FEW = 64  # so few bytes prove nothing: short texts of a set may be anything
# First bytes of a file, its format, the command that writes its content.
_COMPRESSED = (
  (rb"\x1f\x8b", "gzip", "gzip -dc {}"),
  (rb"\xfd7zXZ\x00", "xz", "xz -dc {}"),
  (rb"BZh[1-9](1AY&SY|\x17rE8P\x90)", "bzip2", "bzip2 -dc {}"),
  (rb"\x28\xb5\x2f\xfd|[\x50-\x5f]\x2a\x4d\x18", "zstd", "zstd -dc {}"),
  (rb"PK(\x03\x04|\x05\x06|\x07\x08)", "zip", "unzip -p {}"),
  (rb"\x04\x22\x4d\x18", "lz4", "lz4 -dc {}"),
  (rb"\x1f\x9d", "compress (.Z)", "gzip -dc {}"),
  (rb"7z\xbc\xaf\x27\x1c", "7-Zip", "7z x -so {}"),
  (rb"Rar!\x1a\x07", "RAR", "unrar p -inul {}"),
  (rb"[\s\S]{257}ustar", "tar", "tar -xOf {}"),
)
# First bytes of another file, and its format.
_OTHERS = (
  (b"%PDF-", "a PDF"),
  (b"\x89PNG\r\n", "a PNG image"),
  (b"\xff\xd8\xff", "a JPEG image"),
  (b"\x7fELF", "a program (ELF)"),
  (b"SQLite format 3\0", "a database (SQLite)"),
  (b"PAR1", "Parquet"),
  (b"ARROW1", "Arrow"),
  (b"\x93NUMPY", "an array of numpy"),
  (b"\x89HDF\r\n", "HDF5"),
  (b"\xd0\xcf\x11\xe0", "a document of Microsoft Office"),
)
_CONTROL = frozenset({*range(0x20), 0x7F} - {*b"\t\n\v\f\r\x1b"})
_ENCODINGS = "cp1252 (Western), cp1251 (Cyrillic), shift_jis, gb18030, latin1"
_MARKS = (  # those of 4 bytes first: they begin like those of 2
  (b"\xff\xfe\x00\x00", "utf-32"),
  (b"\x00\x00\xfe\xff", "utf-32"),
  (b"\xff\xfe", "utf-16"),
  (b"\xfe\xff", "utf-16"),
)


def decode(data: bytes, what: str) -> str:
  """Decodes UTF-8.

  Args:
    data: the bytes.
    what: their name for messages; with the path of a file, the command in the
      message can be run as it is.

  Raises:
    ValueError: the bytes are compressed, binary, UTF-16 or UTF-32 (with or
      without a mark), or in another encoding; the message names the format and
      the command that converts it.
  """
  for begins, kind, command in _COMPRESSED:
    if re.match(begins, data):
      raise ValueError(
        f"{what} is compressed ({kind}), no text: uncompress it first,"
        f" `{_command(command, what)}`."
      )
  if other := _wide(data):
    raise _encoded(what, other)
  for begins, kind in _OTHERS:
    if data.startswith(begins):
      raise ValueError(f"{what} is {kind}, no text.")
  head = data[:_START]
  control = sum(byte in _CONTROL for byte in head)
  if len(head) > _FEW and control > len(head) / 4:
    raise ValueError(
      f"{what} is no text: {control} of its first {len(head)} bytes are control"
      " characters."
    )
  try:
    return data.decode("utf-8-sig")
  except UnicodeDecodeError as error:
    # The codec counts from after the mark.
    at = error.start + len(data) - len(error.object)
    where = f"{what} is not UTF-8: byte 0x{data[at]:02x} at offset {at}."
    if 0 in data[:_START]:
      if other := _ideographs(data):
        raise _encoded(what, other) from error
      raise ValueError(
        f"{where} It has zero bytes: it is no text, or one of another encoding"
        " of 2 or 4 bytes a character."
      ) from error
    if error.reason == "unexpected end of data":
      raise ValueError(
        f"{where} It ends within a character: the file is cut."
      ) from error
    raise ValueError(
      f"{where} If it is a text, convert it first from the encoding that it"
      f" has, `{_command('iconv -f ENCODING -t utf-8 {}', what)}`; ENCODING is"
      f" such as {_ENCODINGS}, and the wrong one gives wrong letters."
    ) from error


def _encoded(what: str, name: str) -> ValueError:
  return ValueError(
    f"{what} is {name.upper()}, not UTF-8: convert it first,"
    f" `{_command(f'iconv -f {name} -t utf-8 {{}}', what)}`."
  )


def _wide(data: bytes) -> str:
  """Name of an encoding of 2 or 4 bytes per character, empty if it is none.

  Without a mark: alphabets lie below U+2000, so that high bytes are below 0x20,
  and 0 for spaces. In UTF-8 these bytes would be control characters.

  Example:
    >>> _wide("naïve text".encode("utf-16le"))
    'utf-16le'
  """
  for mark, name in _MARKS:
    if data.startswith(mark):
      return name
  head = data[:_START]
  if len(head) < 8:
    return ""
  names = {
    (False, True, True, True): "utf-32le",
    (True, True, True, False): "utf-32be",
    (False, False, True, True): "utf-32le",
    (True, True, False, False): "utf-32be",
    (False, True): "utf-16le",
    (True, False): "utf-16be",
  }
  return names.get(_high(head, 4), "") or names.get(_high(head, 2), "")


def _ideographs(data: bytes) -> str:
  """Name of a UTF-16 encoding of Chinese or Japanese without a mark, or empty.

  Only one of the two byte orders gives lines or words of letters.
  """
  head = data[: min(_START, len(data) // 4 * 4)]
  fits = [name for name in ("utf-16le", "utf-16be") if _letters(head, name)]
  return fits[0] if len(fits) == 1 else ""


def _letters(head: bytes, encoding: str) -> bool:
  try:
    text = head.decode(encoding)
  except UnicodeDecodeError:
    return False
  signs = (unicodedata.category(c)[0] != "C" for c in text if c not in "\r\n\t")
  return ("\n" in text or " " in text) and all(signs)


def _high(data: bytes, size: int) -> tuple[bool | None, ...]:
  """Which of every `size` bytes are high bytes; None if it is not clear."""
  columns = [data[place::size] for place in range(size)]
  return tuple(map(_is_high, columns))


def _is_high(column: bytes) -> bool | None:
  zeros = column.count(0)
  if zeros and sum(byte < 0x20 for byte in column) > 0.8 * len(column):
    return True
  return None if zeros > 0.2 * len(column) else False


def _command(command: str, what: str) -> str:
  """Fills in the file and a target beside it; placeholders if it is no file."""
  path = pathlib.Path(what)
  try:
    known = path.is_file()
  except (OSError, ValueError):
    known = False
  if not known:
    return command.format("FILE > FILE.txt")
  out = path.with_name(f"{path.name}.utf8.txt")
  return command.format(f"{shlex.quote(what)} > {shlex.quote(str(out))}")
