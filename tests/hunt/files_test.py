"""A part of the hunt for files that a reader misreads or dies of."""

import pytest

from tests.hunt import files

SEED, COUNT = 0, 24


@pytest.mark.parametrize("reader", files.READERS)
def test_right_values_or_an_error_with_file_and_fault(reader):
  """With less than a quarter valid, nothing would be learned of reading."""
  print(f"seed {SEED}")
  tally = files.run(COUNT, SEED, (reader,))
  assert tally.total == COUNT
  assert not tally.uncaught + tally.hung
  assert tally.valid >= COUNT / 4
  assert tally.refused >= COUNT / 6


def test_faults_are_seen(monkeypatch):
  """The judge sees values, a foreign error, a file that is not named."""

  def reading(read):
    made = files.READERS["idx.gz"]._replace(read=read)
    monkeypatch.setitem(files.READERS, "idx.gz", made)
    return files.run(6, SEED, ("idx.gz",))

  def fail(error):
    def read(path):
      raise error

    return read

  assert len(reading(lambda path: ()).uncaught) == 6
  assert len(reading(fail(KeyError("x"))).uncaught) == 6
  assert len(reading(fail(ValueError("damaged"))).uncaught) == 6
  monkeypatch.setattr(files, "LIMIT", -1.0)
  assert len(reading(fail(ValueError("damaged"))).hung) == 6
