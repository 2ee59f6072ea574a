"""`bnnjax cost`: what it counts, and how it prints it."""

import json
import pathlib

import pytest

from tests import golden_cases

MINI = "configs/fashion_mnist_mini_pokebnn.py"
RESNET = "configs/fashion_mnist_resnet.py"
MLP = pathlib.Path(__file__).with_name("tiny_config.py")


@pytest.mark.golden
@pytest.mark.parametrize("width", ["1.0"])  # all are counted in cost/
def test_cost_of_pokebnn(run, width):
  """No weight is allocated: the counted network exists only as shapes."""
  entries = json.loads((golden_cases.FOLDER / "cost_golden.json").read_text())
  found = [e for e in entries["entries"] if e["id"] == f"pokebnn-{width}x"]
  if not found:
    pytest.skip("the replaced folder has other widths")
  want = found[0]["expected"]
  status, out, _ = run(
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


def test_cost_tables(run):
  dot = ("jax.numpy:dot", "--shape=3,8", "--shape=8,5")
  for flags in ((), ("--csv",), ("--by=bits",), ("--by=scope",)):
    status, out, _ = run("cost", *dot, *flags)
    assert status == 0
    assert "MACs" in out


def test_cost_of_code_that_is_not_ours(run):
  """`jax.numpy:dot`: [3, 8] x [8, 5], the second a parameter."""
  status, out, _ = run(
    "cost", "jax.numpy:dot", "--shape=3,8", "--shape=8,5", "--params=1",
    "--json",
  )  # fmt: skip
  assert status == 0
  got = json.loads(out)
  assert got["macs"] == {"w32a32": 3 * 8 * 5}
  assert got["ace"] == 256 * 3 * 8 * 5


def test_arguments_that_the_config_leaves_out_can_be_given(run):
  """Ablating an estimator needs no file: model arguments are open."""
  for act, name in (("ste", "w1a1"), ("symmetric(bits=4)|tensor_max", "w1a4")):
    status, out, _ = run(
      "cost",
      f"--config={RESNET}:smoke",
      "--json",
      f"--config.model.act={act}",
    )
    assert status == 0
    assert name in json.loads(out)["macs"]


def test_cost_compares_two_configs(run):
  status, out, _ = run("cost", "--compare", f"{MLP}:seed=1", f"{RESNET}:smoke")
  assert status == 0
  assert "ACE" in out


def test_a_value_where_the_file_has_none(run):
  given = ["cost", f"--config={MINI}:smoke,float", "--json"]
  status, out, _ = run(*given, "--config.model.act=ste")
  assert status == 0
  assert "w32a1" in json.loads(out)["macs"]
