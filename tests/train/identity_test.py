"""What a run is: what changes its digest, what does not, and in what words."""

import functools
import json
import pathlib

import jax
import jax.numpy as jnp
import ml_dtypes
import numpy as np
import pytest
import safetensors.numpy

from bnnjax import config as config_lib
from bnnjax.report import record as record_lib
from bnnjax.train import identity, runs
from bnnjax.train import workdir as workdir_lib
from bnnjax.train.checkpoint import Checkpoints

RECORDS = pathlib.Path(__file__).parents[1] / "golden" / "records.jsonl"
DATA = {"train": "1", "eval": "2"}


@functools.cache
def _config():
  made = config_lib.base()
  made.data.update(name="digits", shape=(8, 8, 1), num_classes=10)
  made.model = {"name": "mlp", "hidden": (8, 8)}
  return json.dumps(config_lib.resolve(made).to_dict())


def config(**changes):
  """A resolved config as JSON; changes by dotted name, `__` for the dot."""
  found = json.loads(_config())
  for name, value in changes.items():
    *groups, key = name.split("__")
    place = found
    for group in groups:
      place = place.setdefault(group, {})
    place[key] = value
  return found


def run(contents=None, **changes):
  return identity.of_run(config(**changes), contents or {"data": DATA})


CHANGES = {
  "seed": 1,
  "data__batch_size": 64,
  "data__augment": ["flip"],
  "data__eval_batch_size": 256,
  "data__workers": 2,
  "model__name": "other",
  "model__hidden": [8, 9],
  "model__weight": None,
  "task__label_smoothing": 0.1,
  "optim__lr": 0.5,
  "optim__decay_latent": False,
  "optim__ema": 0.5,
  "optim__accumulate": 2,
  "optim__options": {"b1": 0.5},
  "optim__latent": {"lr": 0.1},
  "optim__bop__gamma": 0.5,
  "stages": [{"until": 0.5}, {"until": 1.0, "restart": True}],
  "events": [[1, "fit"]],
  "eval_every": 2.0,
  "init": "runs/x",
}
FREE = {
  "mesh__fsdp": 2,
  "log_every": 1,
  "tensorboard": True,
  "data__threads": 0,
  "checkpoint__every_steps": 5,
  "load": ["x.py"],
}
NAMES = {
  "data__name": "other",
  "data__options": {"path": "x"},
  "data__train_split": "train[:90%]",
}


def test_every_other_field_makes_another_run():
  found = {name: run(**{name: value}) for name, value in CHANGES.items()}
  assert len({run(), *found.values()}) == 1 + len(found)


@pytest.mark.parametrize(
  "name", [*FREE, *NAMES, "epochs", "steps", "data__shape"]
)
def test_what_does_not_count(name):
  value = {**FREE, **NAMES, "epochs": 7.0, "steps": 9, "data__shape": [4]}[name]
  assert run(**{name: value}) == run()


def test_numbers_and_sequences_compare_by_meaning():
  one = run(optim__lr=1, model__hidden=[8, 8], eval_every=2)
  assert one == run(optim__lr=1.0, model__hidden=(8.0, 8), eval_every=2.0)
  assert run(eval_every=1) == run()  # the default is 1.0


def test_a_config_object_and_its_json_are_one():
  given = config_lib.base()
  given.data.update(name="digits", shape=(8, 8, 1), num_classes=10)
  given.model = {"name": "mlp", "hidden": (8, 8)}
  resolved = config_lib.resolve(given)
  assert identity.of_run(resolved, {"data": DATA}) == run()
  old = config()
  del old["init"], old["mesh"], old["optim"]["bop"]  # an older version's
  assert identity.of_run(old, {"data": DATA}) == run()


def test_content_counts_for_data_init_and_teacher():
  paths = {"init": "a/x", "task__distill": {"teacher": "b/y"}}
  held = {"data": DATA, "init": "1", "teacher": "2"}
  one = run(held, **paths)
  moved = {"init": "c/z", "task__distill": {"teacher": "d/y"}}
  assert run(held, **moved) == one
  for changed in (
    {"init": "3"}, {"teacher": "3"}, {"data": {**DATA, "eval": "3"}},
  ):  # fmt: skip
    assert run({**held, **changed}, **paths) != one
  assert run({"data": DATA}, **paths) != run({"data": DATA}, **moved)


# Digest, file, and name of committed runs. Whoever changes a default, or what
# counts, makes other runs of all that are on record: they cannot go on, and
# sweeps train them again.
COMMITTED = (
  (
    "146ce4d35c5cbd0de10006e895f28c62",
    "ablation",
    "fashion_mnist_resnet-method=pokebnn-seed=0",
  ),
  (
    "7baea84dec107788d5e48a6a69adce31",
    "plays_lm",
    "plays_lm-method=float-seed=0",
  ),
  (
    "80edd602a593b437879e02a3d7844d06",
    "plays_lm",
    "plays_lm-model=decoder-method=fbi_llm-teacher=plays_lm-method=float"
    "-seed=1-seed=1",
  ),
)


def committed(file):
  found = record_lib.read(RECORDS)
  return {f"runs/{file}/{record['name']}": record for record in found}


@pytest.mark.parametrize(("expected", "file", "name"), COMMITTED)
def test_digests_of_committed_records(expected, file, name):
  records = committed(file)
  assert identity.of_record(records[f"runs/{file}/{name}"], records) == expected


def test_a_student_counts_its_teacher_by_what_that_would_be():
  expected, file, name = COMMITTED[-1]
  records = committed(file)
  student = records[f"runs/{file}/{name}"]
  teacher = records[f"runs/{file}/plays_lm-method=float-seed=1"]
  loaded = {}
  for changes in ({"seed": 7}, {"epochs": 7.0}):
    other = {**teacher, "config": {**teacher["config"], **changes}}
    others = {**records, f"runs/{file}/plays_lm-method=float-seed=1": other}
    assert identity.of_record(student, others, loaded) != expected
  assert identity.of_record(student, {}, loaded) != expected  # by its name


def test_data_that_are_not_here_count_by_their_name():
  def of(path, by_name=False, **told):
    changes = {"data__name": "text_file", "data__options": {"path": path}}
    made = {"config": config(**changes), **told}
    return identity.of_record(made, by_name=by_name)

  assert of("/no/a") == of("/no/a") != of("/no/b")
  # A record knows what they were.
  told = {"data": DATA}
  assert of("/no/a", **told) == of("/no/b", **told) != of("/no/a")
  assert of("/no/a", **told, by_name=True) == of("/no/a")


def test_records_of_others_have_a_digest_too():
  """A file of records may hold what is no run of ours."""
  configs = (
    {}, {"data": 3}, {"data": {"options": 3}}, {"init": 3, "task": []},
    {"task": {"distill": {"teacher": [1]}}},
  )  # fmt: skip
  found = {identity.of_record({"config": c}, {}) for c in configs}
  assert len(found) == len(configs)


def test_runs_that_begin_with_each_other_end():
  records = {
    name: {"config": config(data__name="nowhere", init=init, seed=seed)}
    for name, init, seed in (
      ("x/a", "x/b", 0),
      ("x/b", "x/a", 1),
      ("x/self", "x/self", 0),
    )
  }
  found = {identity.of_record(r, records) for r in records.values()}
  assert len(found) == 3


def test_arrays_by_path_type_shape_and_bytes():
  tree = {"a": jnp.arange(4.0), "b": ({"k": jax.random.key(3)},)}
  tree["c"] = jnp.ones((2,), jnp.bfloat16)
  same = {
    "c": np.ones(2, ml_dtypes.bfloat16),
    "a": np.arange(4, dtype=np.float32),
    "b": [{"k": jax.random.key(3)}],
  }
  digest = identity.of_arrays(tree)
  assert identity.of_arrays(same) == digest
  flipped = np.arange(4, dtype=np.float32)
  flipped.view(np.uint8)[-1] ^= 1
  others = (
    {"a": flipped}, {"a": np.arange(4.0)}, {"a": tree["a"].reshape(2, 2)},
    {"b": ({"k": jax.random.key(4)},)}, {"c": tree["a"], "a": tree["c"]},
    {"b": ({"k": jax.random.key(3, impl="rbg")},)}, {"d": tree["a"]},
  )  # fmt: skip
  found = {identity.of_arrays({**tree, **other}) for other in others}
  assert len(found | {digest}) == len(others) + 1


def test_weights_of_files(tmp_path):
  weights = {"w": np.arange(6.0, dtype=np.float32)}
  (tmp_path / "a").mkdir()
  safetensors.numpy.save_file(weights, tmp_path / "a" / "model.safetensors")
  safetensors.numpy.save_file(weights, tmp_path / "b.safetensors")
  one = identity.of_weights(str(tmp_path / "a" / "model.safetensors"))
  assert one == identity.of_weights(str(tmp_path / "a"))
  assert one == identity.of_weights(str(tmp_path / "b.safetensors"))
  weights["w"][0] = 1
  safetensors.numpy.save_file(weights, tmp_path / "b.safetensors")
  assert one != identity.of_weights(str(tmp_path / "b.safetensors"))
  (tmp_path / "c").mkdir()
  (tmp_path / "c" / "metrics.jsonl").touch()
  for nothing in ("d.safetensors", "d", "c", "x.bin"):
    assert identity.of_weights(str(tmp_path / nothing)) is None


def test_a_run_without_a_checkpoint_counts_by_its_config(tmp_path):
  found = set()
  for seed in (0, 1):
    folder = tmp_path / str(seed)
    folder.mkdir()
    (folder / "checkpoints").mkdir()
    made = config(data__name="fake", data__shape=[28, 28, 1], seed=seed)
    (folder / "config.json").write_text(json.dumps(made))
    digest = identity.of_weights(str(folder))
    assert digest == identity.of_record({"config": made})
    found.add(digest)
  assert len(found) == 2


def test_weights_of_a_run_are_those_of_its_last_checkpoint(
  tmp_path, monkeypatch
):
  def saved(name, step, value):
    state = {
      "params": {"w": jnp.full(4, value)},
      "rest": {},
      "step": jnp.ones(1),
    }
    checkpoints = Checkpoints(tmp_path / name, create=True)
    checkpoints.save("last", step, state, {"eval": {}})
    checkpoints.close()
    return identity.of_weights(str(tmp_path / name)), state

  one, state = saved("a", 1, 0.5)
  assert saved("b", 2, 0.5)[0] == one  # the same network
  assert saved("b", 3, 0.25)[0] != one
  # A checkpoint of an older version, without digests, is read.
  monkeypatch.setattr(Checkpoints, "info", lambda self, kind: {"steps": 1})
  monkeypatch.setattr(workdir_lib, "read_config", lambda path: None)
  monkeypatch.setattr(runs, "restore", lambda *_: (None, state, None))
  assert identity.of_weights(str(tmp_path / "a")) == one
