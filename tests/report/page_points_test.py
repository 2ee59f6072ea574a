"""Which runs a point of the HTML page stands for."""

import pytest

from bnnjax.report import page_points
from tests.report.html_pages import COST, data, make, page


def test_means_are_over_seeds():
  held = data(page(make(0, 0, 0.5), make(0, 1, 0.7), make(1, 0, 0.9)))
  one, other = sorted(held["groups"], key=lambda g: -g["n"])
  assert (one["y"], one["n"], one["size"]) == (60.0, 2, 2)
  assert one["spread"] == pytest.approx(100 * 0.02**0.5)  # of 0.5 and 0.7
  assert one["costs"][:2] == [1000, COST["bops"]]
  assert (other["y"], other["spread"], other["n"]) == (90.0, None, 1)
  assert [r["y"] for r in held["runs"] if r["of"] == 1] == [50.0, 70.0]


def test_two_runs_of_one_seed_count_as_one():
  again = make(0, 0, 0.7) | {"id": "again"}
  (group,) = data(page(make(0, 0, 0.5), again, make(0, 1, 0.8)))["groups"]
  assert (group["y"], group["n"], group["size"]) == (70.0, 2, 3)


def test_above_a_number_of_runs_the_page_holds_groups(monkeypatch):
  monkeypatch.setattr(page_points, "MOST", 4)
  made = page(*(make(n % 2, n // 2) for n in range(5)))
  held = data(made)
  assert held["aggregated"]
  assert sorted(group["size"] for group in held["groups"]) == [2, 3]
  assert len(held["runs"]) == 2  # what one run of each group is like
  assert "5 runs are more than the 4 that a page shows" in made


def test_above_a_number_of_configs_the_groups_are_coarser(monkeypatch):
  monkeypatch.setattr(page_points, "MOST", 2)
  records = [make(n % 2) | {"id": str(n), "name": f"x-{n}"} for n in range(5)]
  made = page(*records)
  held = data(made)
  assert sorted(group["size"] for group in held["groups"]) == [2, 3]
  assert held["runs"] == []
  assert "5 runs of 5 configs are more than the 2" in made


def test_of_too_many_groups_the_best_are_shown(monkeypatch):
  monkeypatch.setattr(page_points, "MOST", 2)
  made = page(*(make(n, 0, n / 10) for n in range(1, 5)))
  assert [group["y"] for group in data(made)["groups"]] == [40.0, 30.0]
  assert "Of 4 groups, the 2 best are shown." in made


def test_the_limit_is_two_thousand():
  assert page_points.MOST == 2000
