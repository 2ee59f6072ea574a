"""`bx.check`: each fault is named, and what is healthy passes."""

import jax.numpy as jnp
import pytest

import bnnjax as bx
from bnnjax.core import check as check_lib
from bnnjax.core import registry
from bnnjax.core.estimator import SIGN
from bnnjax.errors import UserError
from tests.core import faulty_estimators as faulty


@pytest.fixture(autouse=True)
def _registry():
  with registry.restored():
    yield
  faulty.KEPT.clear()


def failing(report):
  return {check.name: check.found for check in report.failed}


def test_a_spec_that_keeps_the_contract():
  faulty.make("triangle", faulty.triangle)
  report = bx.check("triangle(width=2)|channel_l1")
  assert report
  assert report.raise_if_failed() is report
  assert [c.name for c in report] == [rule.name for rule in check_lib.CHECKS]
  assert {c.role for c in report} == {"weight"}


GRID = {"alphabet": None, "bits": 4}
FAULTS = {
  "alphabet": [
    (dict(forward=faulty.scaled_sign), "also -0.5, 0.5, outside {-1, 1}"),
    (dict(forward=lambda x: jnp.ones_like(x)), "1 for every input"),
    (dict(GRID, forward=lambda x: x / 2), "outside the whole numbers"),
    (dict(forward=lambda x: x / jnp.abs(x)), "nan"),
    (
      dict(forward=lambda x: jnp.where(x > 0, -1, 1).astype(x.dtype)),
      "1 below 0 and -1 above: it is reversed",
    ),
    (dict(GRID, forward=lambda x: jnp.round(x)), "different values for 4 bits"),
  ],
  "sign of zero": [
    (dict(forward=faulty.plain_sign), "0 at 0 (float32), not +1"),
    (
      dict(forward=lambda x: jnp.where(x > 0, 1, -1).astype(x.dtype)),
      "-1 at 0",
    ),
  ],
  "finite slope": [
    (dict(slope=faulty.square_root), "inf at 0 (float32)"),
    (dict(slope=faulty.overflowing), "nan at -88 (float32)"),
    (dict(slope=lambda x: x / x), "nan at 0"),
    (
      dict(slope=lambda x: jnp.zeros_like(x)),
      "0 everywhere, throughout training",
    ),
  ],
  "dtype": [
    (dict(forward=faulty.wide_sign), "`forward` is float32 for bfloat16"),
    (dict(slope=faulty.wide_slope), "the slope is float32 for bfloat16"),
    (dict(slope=faulty.no_number), "the slope is float0"),
  ],
  "retrace": [
    (dict(slope=faulty.counted), "depends on the state of Python"),
    (dict(slope=faulty.jitted_again), "programs again"),
    (dict(slope=faulty.branching), "reads `width` as a Python number"),
  ],
  "closed-over tracer": [
    (dict(slope=faulty.keeping), "keeps a traced array beyond its trace"),
  ],
  "scale": [
    (
      dict(GRID, forward=faulty.ignores_scale),
      "other values for (4x, scale 4)",
    ),
  ],
  "batch": [(dict(forward=faulty.of_the_batch), "changes with the others")],
  "deterministic": [(dict(slope=faulty.counted), "another result")],
}


@pytest.mark.parametrize(
  ("name", "fields", "found"),
  [(name, *case) for name, cases in FAULTS.items() for case in cases],
)
def test_a_fault_is_named(name, fields, found, monkeypatch):
  rules = [r for r in check_lib.CHECKS if r.name in ("runs", name)]
  monkeypatch.setattr(check_lib, "CHECKS", rules)  # for the sake of time
  report = bx.check(faulty.make("faulty", **fields))
  assert not report
  assert found in failing(report)[name]
  with pytest.raises(UserError, match=name):
    report.raise_if_failed()


def test_an_estimator_of_a_traced_number():
  report = bx.check(faulty.closed_over())
  assert "of another call" in failing(report)["closed-over tracer"]


def test_a_class_that_drops_the_scale():
  made = faulty.Deaf("deaf", SIGN, faulty.one)
  assert "not 4 times" in failing(bx.check(made))["scale"]


def test_an_exception_is_a_check_that_failed():
  report = bx.check(faulty.make("broken", faulty.broken))
  found = failing(report)
  assert found["runs"] == "ZeroDivisionError: my <own> mistake | here"
  assert "my &lt;own&gt; mistake" in report._repr_html_()
  again = [c for c in report if c.found == "not run: the same error"]
  assert len(again) > 5
  assert "alphabet" not in found


def test_what_stops_under_jit_fails_there_alone():
  peeking = lambda x: jnp.ones_like(x) if x[0, 0] == 0 else x  # noqa: E731
  found = failing(bx.check(faulty.make("peeking", peeking)))
  assert set(found) == {"jit", "retrace"}
  assert found["retrace"] == "reads a traced array as a Python number"


@pytest.mark.parametrize(
  ("measure", "name", "found"),
  [
    (lambda x: -jnp.mean(jnp.abs(x)), "scale", "is negative"),
    (
      lambda x: jnp.mean(x * x) / jnp.mean(jnp.abs(x)),
      "finite slope",
      "the output is not finite, given zeros",
    ),
  ],
)
def test_a_scale_that_breaks_the_output(measure, name, found):
  bx.scale("faulty")(measure)
  assert found in failing(bx.check("ste|faulty"))[name]


def test_a_tensor_of_one_number():
  assert bx.check("ste|channel_l1", shape=(1, 1))
  assert bx.check("reactnet", shape=(2,))
