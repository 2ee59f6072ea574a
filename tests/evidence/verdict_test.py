import dataclasses
import math

import pytest

from bnnjax.errors import UserError
from bnnjax.evidence import verdict
from bnnjax.evidence.experiment import Claim


def with_claims(results, *claims):
  experiment = dataclasses.replace(results.experiment, claims=claims)
  return dataclasses.replace(results, experiment=experiment)


def test_a_claim_is_shown_refuted_or_neither(make):
  # The squared residuals of row + seed sum to 11 / 6 (in points) with 6 degrees
  # of freedom, so sigma = 0.553; the studentized range q(4, 6) is 4.896 (tables),
  # and the half-width is q sigma / sqrt(3).
  shown, best = verdict.of_all(make())
  assert shown.word == verdict.SHOWN
  assert shown.effect == pytest.approx(10.0)
  assert shown.high - shown.effect == pytest.approx(
    4.896 * math.sqrt(11 / 36 / 3), abs=1e-3
  )
  assert shown.effect - shown.low == pytest.approx(
    4.896 * math.sqrt(11 / 36 / 3), abs=1e-3
  )
  assert (best.better, best.word) == ("new, wide", verdict.REFUTED)
  assert best.effect == pytest.approx(-100 * (0.91 - 2.57 / 3))


def test_within_the_noise_nothing_is_shown(make):
  final = {
    "float": (0.90, 0.91, 0.92),
    "old": (0.70, 0.74, 0.72),
    "new": (0.71, 0.73, 0.73),
    "new, wide": (0.8, 0.83, 0.8),
  }
  (found, _) = verdict.of_all(make(final=final))
  assert found.word == verdict.NOT_SHOWN
  assert found.low < 0 < found.effect < found.high


def test_rows_without_seeds_are_not_run(make):
  found = verdict.of_all(make(rows=("float", "old")))
  assert [f.word for f in found] == [verdict.NOT_RUN, verdict.NOT_RUN]
  assert str(found[0]) == verdict.NOT_RUN


def test_a_metric_that_no_record_has(make):
  results = with_claims(make(), Claim("", "new", "old", "estimating_error"))
  with pytest.raises(UserError, match="no metric 'estimating_error'"):
    verdict.of_all(results)


def test_letters(make):
  results = make()
  found = verdict.letters(results, results.experiment.rows)
  assert found == {"float": "a", "new, wide": "b", "new": "c", "old": "d"}
