"""What figures mean: now, and in the records of before."""

import hashlib
import json
import pathlib

import pytest

from bnnjax.cost import definitions

ROOT = pathlib.Path(__file__).parents[2]
# Digests of the text of each version: what a record means never changes.
DIGESTS = {
  1: "10178144e59da23ae10f7d861645dc083dc2d90b1842e54730e81f60c60428ff"
}


@pytest.mark.parametrize("version", range(1, definitions.VERSION + 1))
def test_a_changed_definition_is_a_new_version(version):
  text = json.dumps(definitions.text(version), sort_keys=True)
  digest = hashlib.sha256(text.encode()).hexdigest()
  assert digest == DIGESTS[version]


def test_a_record_of_before_holds_the_text():
  old = {"ace": 3, "definitions": {"ACE": "as it was"}}
  assert definitions.of_cost(old)["ACE"] == "as it was"
  new = {"ace": 3, "definitions": definitions.VERSION}
  assert definitions.of_cost(new) == definitions.text()


@pytest.mark.parametrize("version", [0, definitions.VERSION + 1])
def test_a_version_of_a_later_bnnjax(version):
  with pytest.raises(ValueError, match=f"version {version}.*knows 1 to"):
    definitions.text(version)


def test_records_store_the_version():
  lines = (ROOT / "experiments/results/ablation.jsonl").read_text().splitlines()
  for cost in (json.loads(line)["cost"] for line in lines):
    assert "PokeBNN" in definitions.of_cost(cost)["ACE"]
    assert isinstance(cost["definitions"], int)


def test_the_page_is_up_to_date():
  assert (ROOT / "docs/figures.md").read_text() == definitions.page(), (
    "Write `bnnjax.cost.definitions.page()` to docs/figures.md."
  )
