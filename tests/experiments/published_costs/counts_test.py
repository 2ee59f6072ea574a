"""Every row has a count, and a count survives its file."""

import json
from fractions import Fraction

import pytest

from experiments.published_costs import counts
from experiments.published_costs.counts import Count
from experiments.published_costs.printed import Cost

# Nothing is known of it.
NOTHING = dict.fromkeys(("family", "variant", "table", "notes"), "")


def test_no_row_is_dropped_silently():
  p = Cost(2, {"model": "net", "cost_metric": "OPs"} | NOTHING)
  with pytest.raises(ValueError, match="Line 2 .net, OPs. has no count"):
    counts.join([p], [])
  with pytest.raises(ValueError, match="again"):
    counts.join([p], [Count(2, "other", "OPs", Fraction(1))])
  with pytest.raises(ValueError, match=r"not rows: \[9\]"):
    counts.join([], [Count(9, "net", "OPs", Fraction(1))])


def test_count_survives_json():
  c = Count(
    3,
    "net",
    "OPs",
    Fraction(1, 64),
    "net w1a1",
    others=(("half", Fraction(1, 2)),),
    within=(Fraction(1), Fraction(2)),
    at_least=("why", Fraction(3)),
  )
  assert Count.from_json(json.loads(json.dumps(c.to_json()))) == c
  bare = Count(3, "net", "OPs")
  assert Count.from_json(json.loads(json.dumps(bare.to_json()))) == bare
