"""Records: written whole, read with care."""

import errno
import json
import multiprocessing
import os
import shutil
import subprocess
import sys
import uuid

import pytest

from bnnjax.report import record

MADE = {
  "id": "0", "name": "net-seed=0", "config": {"seed": 0}, "seed": 0,
  "commit": None, "versions": {}, "device": "1 x cpu",
  "metrics": {"accuracy": 0.5}, "cost": {"ace": 1000}, "wall_seconds": 90.0,
}  # fmt: skip


def make(**fields):
  """A record of another run."""
  return MADE | {"id": uuid.uuid4().hex} | fields


def test_a_record_as_json():
  made = record.Record(
    name="net-seed=0",
    config={"seed": 0},
    seed=0,
    metrics={"accuracy": 0.5},
    cost={"ace": 1000},
    wall_seconds=90.04,
  ).to_json()
  assert tuple(made) == record.FIELDS
  assert made["versions"]["python"]
  same = ("name", "config", "seed", "metrics", "cost", "wall_seconds")
  assert {k: made[k] for k in same} == {k: MADE[k] for k in same}


def _append(path):
  for _ in range(20):
    record.append(path, make(padding="x" * 5000))


def test_writers_at_the_same_time_do_not_mix(tmp_path):
  path = tmp_path / "deep" / "records.jsonl"
  context = multiprocessing.get_context("spawn")
  workers = [context.Process(target=_append, args=(path,)) for _ in range(2)]
  for worker in workers:
    worker.start()
  for worker in workers:
    worker.join()
  assert len(list(record.read(path))) == 40


def test_incomplete_records_are_refused(tmp_path):
  with pytest.raises(ValueError, match="lacks cost"):
    record.append(
      tmp_path / "x", {k: v for k, v in make().items() if k != "cost"}
    )
  (tmp_path / "y").write_text(json.dumps({"id": 1}) + "\n")
  with pytest.raises(ValueError, match="line 1 lacks name"):
    list(record.read(tmp_path / "y"))
  (tmp_path / "z").write_text("{\n")
  with pytest.raises(ValueError, match="line 1: not JSON"):
    list(record.read(tmp_path / "z"))


def _changed(**fields):
  return json.dumps(make(**fields))


def _metric(value):
  return _changed(metrics={"accuracy": value})


DAMAGE = {
  "number": ("3", "is no record but 3"),
  "null": ("null", "is no record but None"),
  "list": ("[1]", r"is no record but \[1\]"),
  "text": ('"x"', "is no record but 'x'"),
  "empty": ("", "not JSON"),
  "half": (_changed()[:100], "not JSON"),
  "two in one line": (_changed() * 2, "not JSON"),
  "zeros": ("\0" * 100, "not JSON"),
  "not UTF-8": (_changed().encode() + b"\xff", "not JSON .*utf-8"),
  "UTF-16": (_changed().encode("utf-16"), "not JSON"),
  "half a surrogate": (_changed(name="\ud800"), "not JSON .*surrogates"),
  "deep": ("[" * 100_000, "not JSON"),
  "long number": ("1" * 5000, "not JSON"),
  "field twice": (_changed()[:-1] + ', "seed": 1}', "not JSON .*twice"),
  "no cost": ("{" + _changed().partition("}, ")[2], "lacks id, name, config"),
  "config": (_changed(config=[]), r"has \[\] as `config`: an object"),
  "metrics": (_changed(metrics=3), "has 3 as `metrics`: an object"),
  "cost": (_changed(cost=None), "has None as `cost`: an object"),
  "name": (_changed(name=""), "has '' as `name`: text"),
  "seed": (_changed(seed="0"), "has '0' as `seed`: a whole number"),
  "seconds": (_changed(wall_seconds=-1), "has -1 as `wall_seconds`"),
  "metric": (_metric("0.9"), "has '0.9' as `metrics.accuracy`: a finite"),
  "NaN": (_metric(float("nan")), "has nan as `metrics.accuracy`"),
  "infinite": (_metric(1.0).replace("1.0", "1e999"), "has inf as"),
  "truth": (_metric(True), "has True as `metrics.accuracy`"),
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_damaged_lines_are_named(tmp_path, damage):
  """With file and number, before training; the file stays as it is."""
  line, message = DAMAGE[damage]
  path = tmp_path / "records.jsonl"
  record.append(path, MADE)
  line = line if isinstance(line, bytes) else line.encode()
  for end in (b"\n", b"\n" + _changed().encode() + b"\n"):
    path.write_bytes(path.read_bytes() + line + end)
    before = path.read_bytes()
    with pytest.raises(ValueError, match=f"jsonl, line 2.*{message}"):
      record.check_appendable(path)
    assert path.read_bytes() == before


def test_a_run_is_on_record_once(tmp_path):
  path = tmp_path / "records.jsonl"
  record.append(path, made := make())
  record.append(path, made)
  with pytest.raises(ValueError, match="line 2 has the id .* of line 1"):
    record.ids(path)


def test_wrong_records_are_not_written(tmp_path):
  with pytest.raises(ValueError, match="has nan as `metrics.loss`"):
    record.append(tmp_path / "x", make(metrics={"loss": float("nan")}))
  assert not (tmp_path / "x").exists()


def test_a_last_line_without_an_end(tmp_path):
  path = tmp_path / "records.jsonl"
  path.write_text(_changed())  # by an editor, say
  record.check_appendable(path)
  record.append(path, make())
  assert len(list(record.read(path))) == 2
  half = path.read_bytes() + _changed().encode()[:-50]
  path.write_bytes(half)
  with pytest.raises(ValueError, match="line 3: not JSON"):
    record.append(path, make())
  assert path.read_bytes() == half


@pytest.mark.parametrize("taken", [0, 100])
def test_full_disk(tmp_path, monkeypatch, taken):
  """The part that was written is taken back, and said; then it goes on."""
  path = tmp_path / "records.jsonl"
  record.append(path, make())
  before, write, calls = path.read_bytes(), os.write, []

  def full(handle, data):
    calls.append(len(data))
    if len(calls) > 1 or not taken:
      raise OSError(errno.ENOSPC, "No space left on device")
    return write(handle, data[:taken])

  with monkeypatch.context() as patch:
    patch.setattr(os, "write", full)
    with pytest.raises(OSError, match="No space left.*nothing was writ") as e:
      record.append(path, make())
  assert str(path) in str(e.value)
  assert f"of {calls[0]} bytes" in str(e.value)
  assert path.read_bytes() == before
  record.append(path, make())
  assert len(list(record.read(path))) == 2


@pytest.mark.skipif(sys.platform == "win32", reason="no limits here")
def test_file_that_may_not_grow(tmp_path):
  """The system's own refusal after a part was taken: 1000 bytes of the line."""
  path = tmp_path / "records.jsonl"
  record.append(path, make())
  before = path.read_bytes()
  code = (
    "import json, resource, signal, sys\n"
    "from bnnjax.report import record\n"
    "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
    f"limit = {len(before) + 1000}\n"
    "resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))\n"
    "line = json.loads(open(sys.argv[1]).readline())\n"
    "try:\n"
    "  record.append(sys.argv[1], line | {'padding': 'x' * 5000})\n"
    "except OSError as error:\n"
    "  print(error)\n"
  )
  done = subprocess.run(
    [sys.executable, "-c", code, path], capture_output=True, text=True
  )
  assert "nothing was written" in done.stdout, done.stderr
  assert path.read_bytes() == before


def test_no_room_is_said_before_training(tmp_path, monkeypatch):
  usage = shutil.disk_usage(tmp_path)._replace(free=4096)
  monkeypatch.setattr(shutil, "disk_usage", lambda _: usage)
  with pytest.raises(ValueError, match="4096 bytes are left .*--record"):
    record.check_appendable(tmp_path / "deep" / "records.jsonl")
  (tmp_path / "records.jsonl").mkdir()
  with pytest.raises(ValueError, match="not a file there"):
    record.check_appendable(tmp_path / "records.jsonl")


def test_a_name_that_no_file_can_have_is_refused_first(tmp_path):
  for path in (tmp_path / ("n" * 300), tmp_path / ("n" * 300) / "r.jsonl"):
    with pytest.raises(
      ValueError, match="cannot be written: File name too long"
    ):
      record.check_appendable(path)


def test_a_superseded_record_is_not_current(tmp_path):
  path, old, new = tmp_path / "r.jsonl", make(), make()
  record.append(path, old)
  record.append(path, new | {"supersedes": [old["id"]]})
  found = list(record.read(path))
  assert [r["id"] for r in record.current(found)] == [new["id"]]
  for wrong in (3, "id", [1]):
    with pytest.raises(ValueError, match="a list of ids is wanted"):
      record.append(path, make(supersedes=wrong))
