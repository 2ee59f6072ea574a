"""The page on converted networks is fresh, and its claims hold."""

import sys

import pytest
from flax import nnx

import bnnjax as bx
from experiments.converted_networks import measure, networks, page

RECORDS = page.records()
OF_FLAX = [
  n for n, x in networks.NETWORKS.items() if x.package is networks.FLAX
]


def test_page_is_fresh():
  remedy = "run `python -m experiments.converted_networks`"
  assert page.FILE.read_text() == page.page(RECORDS), remedy
  assert RECORDS.keys() == networks.NETWORKS.keys(), remedy


@pytest.mark.parametrize("name", RECORDS)
def test_what_the_table_shows(name):
  """Little memory, float again to the bit, a loss that falls."""
  record = RECORDS[name]
  assert page.memory(record) <= 1.1
  assert record["to_the_bit"] in (True, None)
  assert record["ace_after"] < record["ace_before"]
  if not record["abstract"]:
    first, last = record["losses"]
    assert last < first


@pytest.mark.parametrize("name", OF_FLAX)
def test_layers_and_costs_are_those_of_the_network(name):
  network = networks.NETWORKS[name]
  found = measure.converted(network, network.shapes())
  assert found == {key: RECORDS[name][key] for key in found}


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_a_conversion_copies_no_kernel():
  """A copy of one kernel would be a third of the model."""
  n = 4096
  options = {"kernel_init": nnx.initializers.zeros, "rngs": nnx.Rngs(0)}
  model = nnx.Sequential(
    nnx.Linear(n, n, **options),
    nnx.LinearGeneral(n, n, **options),
    nnx.Einsum("bd,ed->be", (n, n), **options),
  )
  rules = {f"layers.{i}": networks.RULE for i in range(3)}
  bx.binarize(model, rules)  # compiles
  bx.unbinarize(model)
  _, grown = measure.growth(lambda: bx.binarize(model, rules))
  assert grown < 0.1 * 3 * n * n * 4
