"""Sweeps: which runs are made, where, and what of them stays on record.

Training is replaced by what it leaves: a config, digests of the data, a record.
`cli_test` has a sweep that trains.
"""

import json
import pathlib
import shutil
import types
import uuid

import pytest

from bnnjax.report import grouping
from bnnjax.report import record as record_lib
from bnnjax.train import datasets, identity, loop, resume_check, sweep
from bnnjax.train import workdir as workdir_lib

CONFIG = """
from bnnjax import config as config_lib

def get_config(arg=""):
  arg = config_lib.parse_arg(
    arg, seed=0, lr=LR, steps=8, teacher="", init="", text=""
  )
  config = config_lib.base()
  config.seed, config.steps, config.init = arg.seed, arg.steps, arg.init
  config.data.update(name="fake", shape=(28, 28, 1), num_classes=10)
  config.model = {"name": "mlp"}
  if arg.text:
    config.data.update(name="text_file", shape=(8,), vocab=256, num_classes=0)
    config.data.options = {"path": arg.text, "tokenizer": "bytes"}
    config.model = {"name": "mamba"}
    config.task = {"name": "language_modeling"}
  config.optim.lr = arg.lr
  if arg.teacher:
    config.task["distill"] = {"teacher": arg.teacher}
  return config.lock()
"""
RECORDS = pathlib.Path("results/exp.jsonl")


@pytest.fixture
def trained(tmp_path, monkeypatch):
  """Workdirs in the order in which they were trained."""
  monkeypatch.chdir(tmp_path)
  found = []

  def train(config, workdir, *, name, record=None):
    assert record is None
    workdir = pathlib.Path(workdir)
    file = workdir / "record.jsonl"
    if not file.exists():
      found.append(str(workdir.relative_to("runs/exp")))
      workdir.mkdir(parents=True)
      workdir_lib.write_config(workdir, config)
      data = identity.of_data(*datasets.open_data(config.data))
      made = record_lib.Record(
        id=uuid.uuid4().hex[:12],
        name=name,
        config=workdir_lib.to_json(config),
        seed=config.seed,
        metrics={"accuracy": 0.5},
        cost={"ace": 1, "bops": 1, "weight_bytes": 1},
        wall_seconds=1.0,
      ).to_json()
      record_lib.append(file, {**made, "digest": "0" * 32, "data": data})
    return types.SimpleNamespace(record=file)

  def read(workdir):
    file = pathlib.Path(workdir) / "record.jsonl"
    config = workdir_lib.stored_config(workdir)
    if not file.exists():
      return resume_check.Held(config, None)
    (record,) = record_lib.read(file)
    contents = {
      "identity": {"data": record["data"]},
      "config": record["config"],
    }
    return resume_check.Held(config, contents)

  monkeypatch.setattr(loop, "train", train)
  monkeypatch.setattr(resume_check, "read", read)
  return found


def write(name="cfg.py", lr=0.001):
  path = pathlib.Path(name)
  path.parent.mkdir(exist_ok=True)
  path.write_text(CONFIG.replace("LR", str(lr)))


def run(*specs):
  """Runs a sweep of these specs."""
  pathlib.Path("exp.py").write_text(f"sweep = lambda: {list(specs)!r}\n")
  sweep.run("exp.py")
  return list(record_lib.read(RECORDS))


def teacher(name):
  return f"runs/exp/{name}"


def test_two_configs_of_one_name(trained, capsys):
  write("a/cfg.py", 0.1)
  write("b/cfg.py", 0.2)
  specs = ("a/cfg.py", "b/cfg.py", "a/cfg.py:seed=1", "b/cfg.py:seed=1")
  records = run(*specs)
  names = ["cfg", "cfg-2", "cfg-seed=1", "cfg-seed=1-2"]
  assert trained == names == [r["name"] for r in records]
  assert [r["config"]["optim"]["lr"] for r in records] == [0.1, 0.2] * 2
  assert {k: len(v) for k, v in grouping.by_config(records).items()} == {
    "cfg": 2, "cfg-2": 2,
  }  # fmt: skip
  capsys.readouterr()
  assert run(*specs) == records
  assert trained == names
  assert capsys.readouterr().out.count("(done)") == 4
  # Names follow the order, what is done does not.
  assert len(run(*specs[::-1], "b/cfg.py:seed=2")) == 5
  assert trained[4:] == ["cfg-seed=2"]


def test_names_do_not_meet(trained):
  for name in ("a/x.py", "b/x.py", "b/x-2.py"):
    write(name, 0.1 + 0.1 * len(name))
  write("c/x.py", 0.7)
  records = run("a/x.py", "b/x.py:lr=0.2", "c/x.py", "b/x-2.py")
  assert [r["name"] for r in records] == ["x", "x-lr=0.2", "x-3", "x-2"]


def test_an_edited_config_runs_again(trained, capsys):
  write(lr=0.1)
  first, other = run("cfg.py", "cfg.py:seed=1")
  write(lr=0.2)
  *_, new, _ = run("cfg.py", "cfg.py:seed=1")
  assert "that name is another run's" in capsys.readouterr().out
  assert trained[2] == new["folder"] != "cfg"
  assert new["name"] == "cfg"
  assert new["supersedes"] == [first["id"]]
  records = list(record_lib.read(RECORDS))
  assert records[:2] == [first, other]  # as they were
  (runs,) = grouping.by_config(records).values()
  assert [r["config"]["optim"]["lr"] for r in runs] == [0.2, 0.2]
  assert run("cfg.py", "cfg.py:seed=1") == records  # done
  # And back: the old run stands again, and is not trained a second time.
  write(lr=0.1)
  records = run("cfg.py", "cfg.py:seed=1")
  assert len(trained) == 4
  assert [r["metrics"] for r in records[4:]] == [first["metrics"]] * 2
  (runs,) = grouping.by_config(records).values()
  assert [r["config"]["optim"]["lr"] for r in runs] == [0.1, 0.1]
  assert run("cfg.py", "cfg.py:seed=1") == records


def test_another_length_is_another_run(trained):
  write()
  run("cfg.py")
  pathlib.Path("cfg.py").write_text(
    pathlib.Path("cfg.py").read_text().replace("steps=8", "steps=16")
  )
  _, new = run("cfg.py")
  assert trained[0] == "cfg" != trained[1] == new["folder"]
  assert len(new["supersedes"]) == 1


def test_a_changed_text_is_another_run(trained):
  write()
  text = pathlib.Path("text.txt")
  text.write_text("To be or not to be. " * 100)
  run("cfg.py:text=text.txt")
  text.write_text("To be, or not to be. " * 100)
  _, new = run("cfg.py:text=text.txt")
  assert trained == ["cfg-text=text.txt", new["folder"]]
  moved = text.rename("moved.txt")
  assert len(run(f"cfg.py:text={moved}")) == 2  # the same text elsewhere


def students(*more):
  specs = ["cfg.py:seed=3"]
  for seed in (1, 2, *more):
    specs.append(f"cfg.py:teacher={teacher('cfg-seed=3')},seed={seed}")
  return specs


def test_an_edited_teacher_has_new_students(trained):
  write(lr=0.1)
  run(*students())
  specs = students()
  specs[0] += ",lr=0.3"  # the name that the students say is the old one's
  write(lr=0.2)
  records = run(*students())
  new = records[3:]
  assert [r["folder"] for r in new] == trained[3:]
  assert new[1]["config"]["task"]["distill"]["teacher"] == (
    teacher(new[0]["folder"])
  )
  groups = grouping.by_config(records)
  assert [len(runs) for runs in groups.values()] == [1, 2]
  assert run(*students()) == records


def test_records_alone_are_enough(trained):
  """As they are committed: without workdirs."""
  write()
  records = run(*students())
  shutil.rmtree("runs")
  assert run(*students()) == records
  assert len(trained) == 3
  # A new student needs the teacher, which is not put on record again.
  records = run(*students(4))
  assert len(records) == 4
  assert trained[3:] == ["cfg-seed=3", records[-1]["folder"]]
  assert len(run(*students(4))) == 4


def test_an_edited_teacher_whose_workdir_is_gone(trained):
  """The old students are not taken for those of the new teacher."""
  write(lr=0.1)
  old = run(*students())
  shutil.rmtree("runs")
  write(lr=0.2)
  run(students()[0])  # and the sweep ends here
  records = run(*students())
  assert [r["config"]["optim"]["lr"] for r in records[3:]] == [0.2] * 3
  assert {r["folder"] for r in records[3:]}.isdisjoint(r["folder"] for r in old)


def test_starts_count_as_teachers_do(trained):
  write(lr=0.1)
  specs = ("cfg.py", f"cfg.py:init={teacher('cfg')},seed=1")
  run(*specs)
  write(lr=0.2)
  records = run(*specs)
  assert records[-1]["config"]["init"] == teacher(records[2]["folder"])


def test_a_sweep_that_was_killed_goes_on(trained, monkeypatch):
  write()
  append = record_lib.append

  def killed(path, record):
    if path == RECORDS:
      raise KeyboardInterrupt
    append(path, record)

  with monkeypatch.context() as patch:
    patch.setattr(record_lib, "append", killed)
    with pytest.raises(KeyboardInterrupt):
      run("cfg.py", "cfg.py:seed=1")
  assert trained == ["cfg"]
  assert len(run("cfg.py", "cfg.py:seed=1")) == 2
  assert trained == ["cfg", "cfg-seed=1"]


def test_records_of_other_commands_stay(trained):
  """`bnnjax train --record=results/exp.jsonl --config.optim.lr=...`."""
  write(lr=0.1)
  (own,) = run("cfg.py")
  config = {**own["config"], "seed": 9}
  other = {**own, "id": "0", "config": config}
  del other["folder"]
  record_lib.append(RECORDS, other)
  write(lr=0.2)
  *_, new = run("cfg.py")
  assert new["supersedes"] == [own["id"]]


def test_nothing_runs_before_all_is_read(trained):
  write()
  for specs, message in (
    (("cfg.py", "cfg.py:sede=1"), "sede"),
    (("cfg.py", "nowhere.py"), "no config file"),
  ):
    with pytest.raises(ValueError, match=message):
      run(*specs)
  for specs in ((), (3,)):
    with pytest.raises(ValueError, match="must yield specs such as"):
      run(*specs)
  RECORDS.parent.mkdir()
  RECORDS.write_text("{\n")
  with pytest.raises(ValueError, match="line 1: not JSON"):
    run("cfg.py")
  assert trained == []


def test_a_place_that_others_have_is_not_taken(trained):
  write()
  run("cfg.py")
  for folder in pathlib.Path("runs/exp").iterdir():
    record = json.loads((folder / "record.jsonl").read_text())
    record["config"]["seed"] = 5
    (folder / "record.jsonl").write_text(json.dumps(record) + "\n")
  RECORDS.unlink()
  (new,) = run("cfg.py")
  other = pathlib.Path("runs/exp", new["folder"], "record.jsonl")
  shutil.copy("runs/exp/cfg/record.jsonl", other)
  RECORDS.unlink()
  with pytest.raises(ValueError, match=r"other runs in .*cfg and .*cfg-"):
    run("cfg.py")


def test_data_that_are_not_here_count_by_their_names(trained, monkeypatch):
  """Records of another machine, the data are only there."""
  write()
  pathlib.Path("text.txt").write_text("To be or not to be. " * 100)
  specs = ("cfg.py:text=text.txt", "cfg.py:text=text.txt,seed=1")
  records = run(*specs)
  pathlib.Path("text.txt").unlink()
  shutil.rmtree("runs")
  assert run(*specs) == records
  with pytest.raises(FileNotFoundError, match="text.txt"):
    run("cfg.py:text=text.txt,seed=2")
