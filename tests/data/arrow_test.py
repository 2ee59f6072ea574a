"""Files of Arrow: what is read, and what is said of damaged ones."""

import os

import pyarrow as pa
import pytest

from bnnjax.data import arrow


def save(path, columns):
  """A stream of several batches; returns its name."""
  table = pa.table(columns)
  with pa.ipc.new_stream(str(path), table.schema) as stream:
    stream.write_table(table, max_chunksize=2)
  return str(path)


@pytest.fixture
def file(tmp_path):
  return save(tmp_path / "a.arrow", {"text": ["the cat", "é"], "n": [0, None]})


def test_files_are_one_table_in_their_order(file, tmp_path):
  other = save(tmp_path / "b.arrow", {"text": ["dogs"], "n": [2]})
  table = arrow.table((other, file))
  assert table.column("text").to_pylist() == ["dogs", "the cat", "é"]
  got = arrow.columns((file,), ("text",))
  assert got.column_names == ["text"]


def test_a_file_that_was_changed_is_read_again(file):
  assert arrow.table((file,)).num_rows == 2
  save(file, {"text": ["dogs"] * 5, "n": [2] * 5})
  os.utime(file, ns=(1, 1))
  assert arrow.table((file,)).num_rows == 5


@pytest.mark.parametrize(
  ("change", "message"),
  [
    (lambda whole: whole[:-8], "a.arrow ends before its Arrow stream does"),
    (lambda whole: whole[:100] + whole[-8:], "a.arrow cannot be read"),
    (lambda whole: whole.replace("é".encode(), b"\xff\xff"), "Invalid UTF8"),
  ],
)
def test_damage_is_told_by_file(file, change, message):
  with open(file, "rb+") as opened:
    whole = opened.read()
    opened.seek(0)
    opened.write(change(whole))
    opened.truncate()
  with pytest.raises(ValueError, match=message):
    arrow.columns((file,), ("text",))


def test_gaps_and_tables_that_differ(file, tmp_path):
  with pytest.raises(ValueError, match=r"1 records of .*a\.arrow have no 'n'"):
    arrow.columns((file,), ("n",))
  other = save(tmp_path / "b.arrow", {"text": [1]})
  with pytest.raises(ValueError, match=r"a\.arrow, .*b\.arrow cannot be read"):
    arrow.table((file, other))
