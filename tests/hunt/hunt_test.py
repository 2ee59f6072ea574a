"""A small part of the hunt; `python -m tests.hunt` runs all of it."""

import collections
import types

import hypothesis
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import strategies

import bnnjax as bx
from tests.hunt import api, judge, layers, programs, specs

SEED = 0


@pytest.mark.parametrize(
  ("kind", "count"),
  [(specs, 30), (layers, 36), (api, 75), (programs, 60)],
  ids=["specs", "layers", "api", "programs"],
)
def test_everything_is_right_or_refused(kind, count):
  """A fault comes back with `--only KIND --first INDEX --count 1`."""
  verdicts = collections.Counter()

  @hypothesis.seed(SEED)
  @hypothesis.settings(
    max_examples=count,
    deadline=None,
    database=None,
    phases=[hypothesis.Phase.generate],
    suppress_health_check=list(hypothesis.HealthCheck),
  )
  @hypothesis.given(strategies.integers(0, 10**9))
  def each(index):
    verdict, line = judge.one(kind, SEED, index)
    verdicts[verdict] += 1
    if sum(verdicts.values()) % 20 == 0:
      jax.clear_caches()  # no program serves two inputs: they only take memory
    assert verdict in ("valid", "refused"), f"seed {SEED}: {line}"

  each()
  assert sum(verdicts.values()) >= count
  assert 4 * verdicts["valid"] >= count, verdicts


def _kind(build, use=lambda built: None):
  """A kind of input whose only case does this."""
  return types.SimpleNamespace(
    __name__="tests.hunt.made_up",
    draw=lambda r: "it",
    build=lambda case: build(),
    use=lambda case, built: use(built),
  )


def _late(built):
  bx.pack_signs(jnp.ones(3), axis=7)


FAULTS = {
  "a foreign error": (_kind(lambda: {}["x"]), "KeyError"),
  "a foreign message of ours": (_kind(lambda: int("x")), "invalid literal"),
  "a late refusal": (_kind(lambda: None, _late), "late: packing.py"),
  "a warning of numpy": (
    _kind(lambda: np.float32(1) / np.float32(0)),
    "divide by zero",
  ),
}


@pytest.mark.parametrize("name", FAULTS)
def test_a_fault_is_seen(name):
  kind, text = FAULTS[name]
  verdict, line = judge.one(kind, SEED, 0)
  assert verdict == "uncaught"
  assert text in line


@pytest.mark.parametrize(
  ("macs", "wanted"), [({(32, 32): 24}, "valid"), ({(1, 1): 24}, "wrong")]
)
def test_a_wrong_number_is_seen(macs, wanted):
  shapes = (jax.ShapeDtypeStruct(s, jnp.float32) for s in ((2, 3), (3, 4)))
  case = programs.Case("a dot", jnp.matmul, tuple(shapes), macs)
  verdict, why = judge.judge(
    lambda: programs.build(case), lambda report: programs.use(case, report)
  )
  assert verdict == wanted, why


def test_a_refusal_of_ours_is_none():
  kind = _kind(lambda: bx.pack_signs(jnp.ones(3), axis=7))
  assert judge.one(kind, SEED, 0)[0] == "refused"


def test_a_hang_is_seen(monkeypatch):
  monkeypatch.setattr(judge, "LIMIT", 0.01)
  kind = _kind(lambda: sum(range(3_000_000)))
  assert judge.one(kind, SEED, 0)[0] == "hang"
