"""Files of records, and files that are none or damaged."""

import json
import pathlib

import pytest

from bnnjax.errors import UserError
from bnnjax.report import reading
from tests.report.made_records import make, write

GOLDEN = pathlib.Path(__file__).parents[1] / "golden" / "records.jsonl"
BENCHMARK = {"benchmark": "step", "device": "cpu", "seconds": 1.0}


def read(*paths):
  records, skipped = reading.read(paths)
  return records, [str(s) for s in skipped]


def test_lines_give_what_json_gives(tmp_path):
  records = [
    make(seed=s, changes={"optim.lr": lr}) for s in (0, 7) for lr in (1, 2)
  ]
  records.append(make(name='a "config": {"seed": 1}, "seed": 3', id="odd"))
  records.append(make(id="nested", changes={"model.cost": {"seed": 3}}))
  records.append(make(id="late", changes={"zoo": {"seed": 3}}))
  records.append(make(id="none", seed=0, config={"model": {"seed": 4}}))
  path = write(tmp_path / "r.jsonl", records)
  assert read(path) == (records, [])
  compact = "".join(
    json.dumps(r, separators=(",", ":")) + "\n" for r in records
  )
  path.write_text(compact.rstrip("\n"))  # no line end after the last
  assert read(path) == (records, [])


def test_equal_parts_of_lines_are_one_object(tmp_path):
  path = write(tmp_path / "r.jsonl", [make(seed=s) for s in range(3)])
  (one, _, other), _ = reading.read([path])
  assert one["cost"] is other["cost"]
  assert one["config"]["model"] is other["config"]["model"]
  assert (one["config"]["seed"], other["config"]["seed"]) == (0, 2)


def test_parts_of_configs_are_one_object_too(tmp_path):
  (real, *_), _ = reading.read([GOLDEN])
  records = [
    real
    | {
      "id": str(lr),
      "config": real["config"]
      | {"optim": real["config"]["optim"] | {"lr": lr}},
    }
    for lr in (0.25, 0.5)
  ]
  path = write(tmp_path / "r.jsonl", records)
  assert read(path) == (records, [])
  (one, other), _ = reading.read([path])
  for part in ("data", "model"):
    assert one["config"][part] is other["config"][part]


@pytest.mark.parametrize(
  "config",
  [
    {"data": None, "x": {"data": {"a": 1}, "diagnostics": 1}},
    {"x": {"data": {"a": 1}, "diagnostics": 1}, "data": None},
    {"data": reading.CUT, "x": {"data": {"a": 1}, "diagnostics": 1}},
    {"seed": None, "x": {"seed": 3}},
    {"data": {"a": 1}, "diagnostics": 1, "model": None, "seed": 0},
    {"data": {"a": 1}, "diagnostics": 1, "x": {"model": {}}, "seed": 0},
    {
      "data": {"a": 1},
      "diagnostics": 1,
      "model": {"name": "x"},
      "optim": {"lr": 1},
      "seed": 0,
      "stages": [{"optim": {"lr": 2}, "seed": 1}],
    },
    {"model": {"a": '"optim": {"b": {}}, "seed": '}, "optim": {}, "seed": 0},
  ],
)
def test_cutting_never_moves_a_part(tmp_path, config):
  records = [
    make(id=str(i), seed=0, config=c)
    for i, c in enumerate((config, {"config": config}))
  ]
  path = write(tmp_path / "r.jsonl", records)
  assert read(path) == (records, [])


@pytest.mark.parametrize(
  ("line", "reason"),
  [
    ("{", "is not JSON"),
    ("", "is blank"),
    ("[1]", "is no record but"),
    ("null", "is no record but"),
    (json.dumps(BENCHMARK), "lacks id, name"),
    (json.dumps(make(id="x"))[:200], "is not JSON"),
    (json.dumps(make(id="x"))[:-1] + ', "id": "x"}', "a field twice"),
    (
      json.dumps(make(id="x")).replace('"ace"', '"bops": 1, "ace"'),
      "a field twice",
    ),
    (json.dumps(make(id="x", metrics={"accuracy": float("nan")})), "finite"),
    (json.dumps(make(id="x", wall_seconds=-1.0)), "`wall_seconds`"),
    (json.dumps(make(id="x", accuracy=88.0)), "share from 0 to 1"),
    (json.dumps(make(id="x", metrics={"best_accuracy": -0.1})), "share from 0"),
    (json.dumps(make(id="x", cost={"ace": -5})), "-5 as its ACE"),
    (json.dumps(make(id="x", changes={"seed": 3})), "the seed 0, but 3"),
    (json.dumps(make(id="x", name="\ud800")), "is not JSON"),
    ("\0" * 8, "is not text"),
    ("[" * 100_000, "is not JSON"),
    ('"' + "x" * 2**20 + '"', "has more than 1048576 bytes"),
  ],
)
def test_a_line_that_is_no_record_is_named_and_the_rest_read(
  tmp_path, line, reason
):
  good = [json.dumps(make(seed=s)) for s in range(2)]
  path = tmp_path / "r.jsonl"
  path.write_text("\n".join([good[0], line, good[1]]) + "\n")
  records, (skipped,) = read(path)
  assert [r["seed"] for r in records] == [0, 1]
  assert skipped.startswith(f"{path}, line 2 ")
  assert reason in skipped


@pytest.mark.parametrize(
  ("content", "reason"),
  [
    (b"", "is empty"),
    (b"\xff\xfe\x01", "holds no records: line 1 is not JSON"),
    (
      json.dumps(BENCHMARK).encode() * 1 + b"\n",
      "holds no records: line 1 lacks",
    ),
    (b'{\n  "a": 1\n}\n', "holds no records: line 1 is not JSON"),
  ],
)
def test_a_file_without_records_is_named_once(tmp_path, content, reason):
  (tmp_path / "a.jsonl").write_bytes(content)
  write(tmp_path / "b.jsonl", [make()])
  records, (skipped,) = read(tmp_path)
  assert len(records) == 1
  assert skipped.startswith(f"{tmp_path / 'a.jsonl'} {reason}")


def test_a_run_counts_once(tmp_path):
  one, other = make(id="a"), make(id="a", accuracy=0.6)
  a = write(tmp_path / "a.jsonl", [one])
  b = write(tmp_path / "b.jsonl", [one, make(id="b", supersedes=["c"])])
  c = write(tmp_path / "c.jsonl", [other, make(id="c")])
  records, skipped = read(a, b, c, a)
  assert [(r["id"], r["metrics"]["accuracy"]) for r in records] == [
    ("a", 0.5), ("b", 0.5),
  ]  # fmt: skip
  assert skipped == [
    f"{c}, line 1 has the id 'a' of {a}, line 1, but other contents"
  ]


def test_folders_and_globs(tmp_path):
  for name in ("a.jsonl", "tuning/b.jsonl", "runs/x/record.jsonl", "c.txt"):
    (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
    write(tmp_path / name, [make()])

  def found(*paths):
    return [f[len(str(tmp_path)) + 1 :] for f in reading.files(paths)]

  assert found(tmp_path) == ["a.jsonl"]  # not the tuning runs
  assert found(tmp_path / "runs") == ["runs/x/record.jsonl"]
  assert found(f"{tmp_path}/*.jsonl") == ["a.jsonl"]
  assert found(f"{tmp_path}/**/*.jsonl", tmp_path) == [
    "a.jsonl", "runs/x/record.jsonl", "tuning/b.jsonl",
  ]  # fmt: skip
  assert found(tmp_path / "c.txt") == ["c.txt"]
  (tmp_path / "[x].jsonl").write_text("")
  assert found(tmp_path / "[x].jsonl") == ["[x].jsonl"]


def test_other_files_of_a_workdir_are_no_records(tmp_path):
  run = tmp_path / "run"
  run.mkdir()
  for name in ("metrics.jsonl", "diagnostics.jsonl", "record.jsonl"):
    (run / name).write_text("{}")
  assert len(reading.files([run])) == 3  # it may be a folder of somebody's own
  (run / "config.json").write_text("{}")
  for folder in (run, tmp_path):
    assert reading.files([folder]) == [str(run / "record.jsonl")]
  assert len(reading.files([run / "metrics.jsonl"])) == 1  # it was asked for
  (run / "record.jsonl").unlink()
  with pytest.raises(UserError, match="hold no"):
    reading.files([tmp_path])


def test_paths_that_hold_nothing(tmp_path):
  for paths, message in (
    ([], "Give files of records"),
    ([tmp_path / "nope.jsonl"], "no file or folder"),
    ([f"{tmp_path}/*.jsonl"], "No file matches"),
    ([tmp_path], "hold no"),
  ):
    with pytest.raises(UserError, match=message):
      reading.read(paths)


def test_few_of_many_are_said():
  skipped = [reading.Skipped("f", i, "is blank") for i in range(1, 9)]
  *said, last = reading.say(skipped)
  assert len(said) == 5
  assert said[0] == "f, line 1 is blank; it is skipped"
  assert last == "3 more files or lines are skipped"


def test_many_lines_take_little_time(tmp_path):
  lines = (json.dumps(make(id=str(i), seed=i)) for i in range(2000))
  path = tmp_path / "r.jsonl"
  path.write_text("\n".join(lines))
  records, skipped = reading.read([path])
  assert (len(records), skipped) == (2000, [])
  assert len({id(r["cost"]) for r in records}) == 1


def test_a_mark_of_the_byte_order_is_no_damage(tmp_path):
  records = [make(seed=s) for s in range(2)]
  path = write(tmp_path / "r.jsonl", records)
  path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes().replace(b"\n", b"\r\n"))
  assert read(path) == (records, [])


def test_records_that_supersede_each_other(tmp_path):
  chain = [make(id="a"), make(id="b", seed=1, supersedes=["a", "gone"])]
  path = write(tmp_path / "r.jsonl", chain)
  assert read(path) == (chain[1:], [])
  write(path, [make(id="a", supersedes=["b"]), chain[1]])
  with pytest.raises(UserError, match="in a circle.*a.*b"):
    reading.read([path])
  write(path, [make(id="a", supersedes=["a"]), make(id="b")])
  with pytest.raises(UserError, match="in a circle"):
    reading.read([path])
