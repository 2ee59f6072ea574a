"""`bnnjax train`, and `bnnjax eval` of what it trained."""

import json
import pathlib

CONFIG = pathlib.Path(__file__).with_name("tiny_config.py")


def test_train_then_eval(run, tmp_path):
  workdir, record = tmp_path / "run", tmp_path / "records.jsonl"
  status, out, _ = run(
    "train", f"--config={CONFIG}", f"--workdir={workdir}",
    f"--record={record}", "--config.optim.lr=2e-3",
  )  # fmt: skip
  assert status == 0
  for label in ("test accuracy", "ACE", "BOPs", "weight bytes", "checkpoint"):
    assert label in out
  assert f"{workdir}/checkpoints/last" in out
  assert json.loads(record.read_text())["config"]["optim"]["lr"] == 2e-3
  accuracy = out.split("test accuracy  ")[1].split()[0]
  for kind in ("last", "best"):
    status, out, _ = run("eval", f"--workdir={workdir}", f"--checkpoint={kind}")
    assert status == 0
    if kind == "last":
      assert f"{accuracy}" in out
