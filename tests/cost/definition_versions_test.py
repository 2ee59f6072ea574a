"""What figures mean: now, and in the records of before."""

import hashlib
import json
import pathlib

import pytest

from bnnjax.cost import definition_versions

ROOT = pathlib.Path(__file__).parents[2]
# Digests of the text of each version: what a record means never changes.
DIGESTS = {
  1: "10178144e59da23ae10f7d861645dc083dc2d90b1842e54730e81f60c60428ff"
}


@pytest.mark.parametrize("version", range(1, definition_versions.VERSION + 1))
def test_a_changed_definition_is_a_new_version(version):
  text = json.dumps(definition_versions.text(version), sort_keys=True)
  digest = hashlib.sha256(text.encode()).hexdigest()
  assert digest == DIGESTS[version]


def test_a_record_of_before_holds_the_text():
  old = {"ace": 3, "definitions": {"ACE": "as it was"}}
  assert definition_versions.of_cost(old)["ACE"] == "as it was"
  new = {"ace": 3, "definitions": definition_versions.VERSION}
  assert definition_versions.of_cost(new) == definition_versions.text()


@pytest.mark.parametrize("version", [0, definition_versions.VERSION + 1])
def test_a_version_of_a_later_bnnjax(version):
  with pytest.raises(ValueError, match=f"version {version}.*knows 1 to"):
    definition_versions.text(version)


def test_records_store_the_version():
  lines = (ROOT / "tests/golden/records.jsonl").read_text().splitlines()
  for cost in (json.loads(line)["cost"] for line in lines):
    assert "PokeBNN" in definition_versions.of_cost(cost)["ACE"]
    assert isinstance(cost["definitions"], int)


def test_the_page_is_up_to_date():
  assert (
    ROOT / "docs/cost_metrics.md"
  ).read_text() == definition_versions.page(), (
    "Write `bnnjax.cost.definition_versions.page()` to docs/cost_metrics.md."
  )
