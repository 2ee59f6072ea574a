"""The command line: what a person types, and what they read."""

import json
import pathlib
import shlex
import subprocess
import sys

import pytest

from bnnjax import arguments as arguments_lib
from bnnjax import cli
from bnnjax.train import config as config_lib
from bnnjax.train import config_file
from tests import golden_cases

MINI = "configs/fashion_mnist_mini_pokebnn.py"
RESNET = (
  "configs/fashion_mnist_resnet.py"  # compiles and counts in half the time
)


def run(capsys, *arguments):
  status = cli.main(arguments)
  out, err = capsys.readouterr()
  return status, out, err


def test_train_then_eval(capsys, tmp_path):
  workdir, record = tmp_path / "run", tmp_path / "records.jsonl"
  status, out, _ = run(
    capsys, "train", f"--config={RESNET}:smoke", f"--workdir={workdir}",
    f"--record={record}", "--config.optim.lr=2e-3",
  )  # fmt: skip
  assert status == 0
  for label in ("test accuracy", "ACE", "BOPs", "weight bytes", "checkpoint"):
    assert label in out
  assert f"{workdir}/checkpoints/last" in out
  assert json.loads(record.read_text())["config"]["optim"]["lr"] == 2e-3
  accuracy = out.split("test accuracy  ")[1].split()[0]
  for kind in ("last", "best"):
    status, out, _ = run(
      capsys, "eval", f"--workdir={workdir}", f"--checkpoint={kind}"
    )
    assert status == 0
    if kind == "last":
      assert f"{accuracy}" in out


@pytest.mark.golden
@pytest.mark.parametrize("width", ["1.0"])  # all are counted in cost/
def test_cost_of_pokebnn(capsys, width):
  """No weight is allocated: the counted network exists only as shapes."""
  entries = json.loads((golden_cases.FOLDER / "cost_golden.json").read_text())
  found = [e for e in entries["entries"] if e["id"] == f"pokebnn-{width}x"]
  if not found:
    pytest.skip("the replaced folder has other widths")
  want = found[0]["expected"]
  status, out, _ = run(
    capsys,
    "cost",
    f"--config=configs/imagenet_pokebnn.py:width={width}",
    "--json",
  )
  got = json.loads(out)
  assert status == 0
  assert got["macs"] == want["macs_by_bits"]
  assert got["conv_ace"] == want["conv_ace"]
  assert got["dense_ace"] == want["dense_ace"]
  assert got["ace"] == want["total_ace"]


def test_cost_tables(capsys):
  for flags in ((), ("--csv",), ("--by=bits",), ("--by=scope",)):
    status, out, _ = run(capsys, "cost", f"--config={RESNET}:smoke", *flags)
    assert status == 0
    assert "MACs" in out


def test_cost_of_code_that_is_not_ours(capsys):
  """`jax.numpy:dot`: [3, 8] x [8, 5], the second a parameter."""
  status, out, _ = run(
    capsys, "cost", "jax.numpy:dot", "--shape=3,8", "--shape=8,5", "--params=1",
    "--json",
  )  # fmt: skip
  assert status == 0
  got = json.loads(out)
  assert got["macs"] == {"w32a32": 3 * 8 * 5}
  assert got["ace"] == 256 * 3 * 8 * 5


def test_arguments_that_the_config_leaves_out_can_be_given(capsys):
  """Ablating an estimator needs no file: model arguments are open."""
  for act, name in (("ste", "w1a1"), ("symmetric(bits=4)|tensor_max", "w1a4")):
    status, out, _ = run(
      capsys,
      "cost",
      f"--config={RESNET}:smoke",
      "--json",
      f"--config.model.act={act}",
    )
    assert status == 0
    assert name in json.loads(out)["macs"]


def test_cost_compares_two_configs(capsys):
  status, out, _ = run(
    capsys, "cost", "--compare", f"{MINI}:smoke", f"{MINI}:smoke,float"
  )
  assert status == 0
  assert "ACE" in out


def test_list(capsys):
  status, out, _ = run(capsys, "list")
  assert status == 0
  assert "estimator:\n" in out
  assert run(capsys, "list", "estimator")[1].startswith("estimator:\n")
  assert "2308.06689" in run(capsys, "list", "reste")[1]


@pytest.mark.parametrize(
  ("arguments", "message"),
  [
    (["train", "--config=configs/nothing.py"], "no config file 'configs/nothing.py'"),
    (["train", f"--config={MINI[:-4]}.py"], f"Did you mean '{MINI}'"),
    (["train", f"--config={MINI}:smok"], "Did you mean 'smoke'"),
    (["train", f"--config={MINI}:width=x"], "expected `width=float`"),
    (["train", f"--config={MINI}", "--config.optim.lrr=1"], "Did you mean 'config.optim.lr'"),
    (["train", f"--config={MINI}", "--config.optim.lr=x"], "must be a number"),
    (["train", f"--config={MINI}", "--foo=1"], "Unknown argument '--foo'"),
    (["cost", "--config=configs/imagenet_pokebnn.py:width=1.4"], "Nearest legal widths: 1.0, 1.25"),
    (["train", "--config=configs/cifar10_pokebnn.py"], "tfds build cifar10"),
    (["cost", "jax.numpy:dot", "--shape=-2,4"], "written 1,224,224,3"),
    (["cost", "jax.numpy:dot", "--shape=2", "--params=x"], "--params is written 0,2"),
    (["cost", f"--config={MINI}", "--shape=2"], "belong to MODULE:FUNCTION"),
    (["cost", "jax.numpy:dot", "--shape=2", "--foo"], "Unknown argument '--foo'"),
    (["train", "--config=README.md"], "README.md does not run: SyntaxError"),
    (["train", f"--config={MINI}", "--config.model.weigth=ste"], "Did you mean 'weight'"),
    (["cost", "jax.numpy:dot", "--shape=--"], "--shape needs a value"),
    (["cost"], "Give one of --config=FILE, --compare A B or MODULE:FUNCTION"),
    (["cost", "jax.numpy"], "Write 'jax.numpy' as package.module:function"),
    (["cost", "jax.numpyy:dot", "--shape=1"], "Cannot import 'jax.numpyy'"),
    (["cost", "jax.numpy:dott", "--shape=1"], "Did you mean 'dot'"),
    (["cost", "jax.numpy:dot"], "Give the shapes of jax.numpy:dot's arguments"),
    (["cost", "jax.numpy:dot", "--shape=3x4"], "written 1,224,224,3 or 1,128:int32"),
    (["eval", "--workdir=/nothing"], "/nothing holds no run"),
    (["cost", f"--config={MINI}:a\0"], "must be UTF-8, without NUL"),
    (["eval", "--workdir=a\udcff"], "must be UTF-8, without NUL"),
    (["cost", "sys:exit", "--shape=3"], "SystemExit"),
    (["list", "estimators"], "Did you mean 'estimator'"),
    (["sweep", "experiments/nothing.py"], "No experiment 'experiments/nothing.py'"),
  ],
)  # fmt: skip
def test_mistakes_get_one_paragraph(capsys, tmp_path, arguments, message):
  if arguments[0] == "train":
    arguments = [*arguments, f"--workdir={tmp_path / 'run'}"]
  status, out, err = run(capsys, *arguments)
  assert status == 2
  assert message in " ".join(err.split())
  assert "Traceback" not in err
  assert not out
  assert not (tmp_path / "run").exists()


def test_help_helps(capsys):
  for arguments in (["--help"], ["train", "--help"]):
    with pytest.raises(SystemExit, match="0"):
      cli.main(arguments)
    out = capsys.readouterr().out
    assert "bnnjax train --config=" in out


def test_import_is_light_and_free_of_tensorflow():
  code = (
    "import sys, bnnjax; assert 'jax' not in sys.modules;"
    "bnnjax.Linear, bnnjax.count, bnnjax.build;"
    "assert 'tensorflow' not in sys.modules"
  )
  subprocess.run([sys.executable, "-c", code], check=True, timeout=120)


def test_sweep_skips_what_is_done(capsys, tmp_path, monkeypatch):
  experiment, config = tmp_path / "two.py", tmp_path / "config.py"
  config.write_text(
    "from tests.train.small_runs import tiny\n"
    "def get_config(arg):\n"
    "  config = tiny()\n"
    "  config.seed = int(arg)\n"
    "  return config\n"
  )
  experiment.write_text(f"sweep = lambda: ['{config}:1', '{config}:2']\n")
  monkeypatch.setattr(cli, "RUNS", str(tmp_path / "runs"))
  status, out, _ = run(capsys, "sweep", str(experiment))
  assert status == 0
  assert "[2/2]" in out
  assert "(done)" not in out
  status, out, _ = run(capsys, "sweep", str(experiment))
  assert out.count("(done)") == 2
  lines = (tmp_path / "results" / "two.jsonl").read_text().splitlines()
  assert len(lines) == 2


def test_errors_of_flags_paths_and_fields_need_no_jax(tmp_path):
  """Hence they take a tenth of a second."""
  lines = [
    ["train", "--config=configs/nope.py"],
    ["train", f"--config={MINI}", "--config.optm.lr=1"],
    ["train", f"--config={MINI}", "--config.model=3"],
    ["cost", "--compare", MINI, "configs/nope.py"],
    ["cost"],
    ["eval", "--workdir=/nope"],
    ["sample", f"--workdir={tmp_path}"],
    ["sweep", "nope.py"],
    ["report", "nope.md"],
    ["list", "--load=nope.py"],
    ["new", "x"],
    ["trian"],
    ["train", "--confg=x"],
    [],
  ]
  code = (
    "import sys; from bnnjax import cli\n"
    f"for line in {lines!r}:\n"
    "  assert cli.main(line) == 2, line\n"
    "  assert not {'jax', 'flax', 'numpy'} & set(sys.modules), line\n"
  )
  done = subprocess.run(
    [sys.executable, "-c", code], capture_output=True, text=True, timeout=120
  )
  assert done.returncode == 0, done.stderr
  assert done.stderr.count("bnnjax") >= len(lines)


def test_examples_of_the_help_can_be_given(capsys):
  for command, text in arguments_lib.EXAMPLES.items():
    with pytest.raises(SystemExit):
      cli.main([command, "-h"])
    assert text in capsys.readouterr().out
    for line in text.replace("\\\n", " ").splitlines():
      if not line.startswith("  bnnjax"):
        continue
      words = shlex.split(line)[1:]
      assert words[0] == command
      args = arguments_lib.parse(words)
      given = vars(args)
      for spec in (given.get("config"), *(given.get("compare") or ())):
        if spec:
          config_lib.resolve(config_file.read(spec, args.overrides))
      for name in ("experiment", "file"):
        assert pathlib.Path(given.get(name, ".")).exists()


def test_a_value_where_the_file_has_none(capsys):
  given = ["cost", f"--config={MINI}:smoke,float", "--json"]
  for word, name in (([], "w32a32"), (["--config.model.act=ste"], "w32a1")):
    status, out, _ = run(capsys, *given, *word)
    assert status == 0
    assert name in json.loads(out)["macs"]


def test_the_files_of_a_run_are_run_again(capsys, tmp_path):
  """A run names the files of --load; without them it says so."""
  (tmp_path / "config.json").write_text(json.dumps({"load": ["gone.py"]}))
  status, _, err = run(capsys, "eval", f"--workdir={tmp_path}")
  assert status == 2
  assert "was trained with --load=gone.py" in " ".join(err.split())
  mine = tmp_path / "mine.py"
  mine.write_text("raise ValueError('it ran')\n")
  for load, flags in (([str(mine)], []), (["gone.py"], [f"--load={mine}"])):
    (tmp_path / "config.json").write_text(json.dumps({"load": load}))
    status, _, err = run(capsys, "eval", f"--workdir={tmp_path}", *flags)
    assert (status, "it ran" in err) == (2, True)
