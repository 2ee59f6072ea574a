"""Loops, branches and devices."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax
from jax.sharding import Mesh, PartitionSpec

from bnnjax.core.bits import tag
from bnnjax.cost import count


def shape(*dims):
  return jax.ShapeDtypeStruct(dims, jnp.float32)


X = shape(4, 4)
DOT = 64


def test_static_fori_loop():
  assert count(
    lambda x: lax.fori_loop(0, 7, lambda _, c: c @ c, x), X
  ).macs == {(32, 32): 7 * DOT}


@pytest.mark.parametrize(
  ("start", "test", "step", "trips"),
  [
    (0, lambda i: i < 5, 1, 5),
    (0, lambda i: i <= 5, 1, 6),
    (10, lambda i: i > 1, -3, 3),
    (10, lambda i: i >= 1, -3, 4),
    (5, lambda i: i < 5, 1, 0),
    (0, lambda i: i < 5, 2, 3),
  ],
)
def test_while_with_a_counter(start, test, step, trips):
  def f(x):
    return lax.while_loop(
      lambda c: test(c[0]), lambda c: (c[0] + step, c[1] @ c[1]), (start, x)
    )[1]

  i, runs = start, 0
  while test(i):
    i, runs = i + step, runs + 1
  assert runs == trips
  report = count(f, X)
  assert report.total_macs == trips * DOT
  assert not report.warnings


def test_unknown_trip_count_is_counted_once_and_said():
  def f(x):
    return lax.while_loop(lambda c: c.sum() < 9, lambda c: c @ c, x)

  report = count(f, X)
  assert report.total_macs == DOT
  assert "unknown trip count" in report.warnings[0]
  assert "lax.scan" in report.warnings[0]

  def never_ends(x):
    return lax.while_loop(
      lambda c: c[0] < 5, lambda c: (c[0] * 2, c[1] @ c[1]), (0, x)
    )[1]

  assert "unknown trip count" in count(never_ends, X).warnings[0]


def test_dynamic_fori_loop_has_an_unknown_trip_count():
  def f(x, n):
    return lax.fori_loop(0, n, lambda _, c: c @ c, x)

  n = jax.ShapeDtypeStruct((), jnp.int32)
  assert "unknown trip count" in count(f, X, n).warnings[0]


def test_a_while_without_contractions_is_silent():
  def f(x):
    return lax.while_loop(lambda c: c.sum() < 9, lambda c: c + 1, x)

  assert not count(f, X).warnings


def test_the_costliest_branch_counts():
  def f(x, flag):
    return lax.cond(flag, lambda x: x @ x, lambda x: tag(x, 1) @ x @ x, x)

  flag = jax.ShapeDtypeStruct((), jnp.bool_)
  report = count(f, X, flag)
  assert report.macs == {(32, 1): DOT, (32, 32): DOT}
  assert "costliest of 2 branches" in report.notes[0]


def test_branches_that_disagree_lose_the_tag():
  def f(x, flag):
    y = lax.cond(flag, lambda x: tag(x, 1), lambda x: x, x)
    return y @ x

  flag = jax.ShapeDtypeStruct((), jnp.bool_)
  report = count(f, X, flag)
  assert report.macs == {(32, 32): DOT}
  assert "branches of a cond disagree" in report.warnings[0]


def test_a_tag_survives_the_carry_only_if_every_step_renews_it():
  def kept(x, w):
    body = lambda c, _: (tag(jnp.sign(c @ w), 1), None)  # noqa: E731
    return lax.scan(body, tag(x, 1), None, length=5)[0]

  assert count(kept, X, X).macs == {(32, 1): 5 * DOT}

  def lost(x, w):
    return lax.scan(lambda c, _: (c @ w, None), tag(x, 1), None, length=5)[0]

  report = count(lost, X, X)
  assert report.macs == {(32, 32): 5 * DOT}
  assert "changes in the carry of a scan" in report.warnings[0]


def test_scales_of_stacked_results_vary_along_the_steps():
  def f(x, w):
    ys = lax.scan(lambda c, s: (c, tag(x, 1) * s), 0.0, jnp.arange(3.0))[1]
    return jnp.einsum("nij,nk->ijk", ys, w)  # contracts the steps

  report = count(f, X, shape(3, 2))
  assert (32, 1) in report.macs  # w is float already: the scale moves there
  tagged = count(lambda x, w: f(x, tag(w, 1)), X, shape(3, 2))
  assert (1, 1) not in tagged.macs


def test_nested_scans_multiply():
  def f(x):
    inner = lambda c, _: (c @ c, None)  # noqa: E731
    outer = lambda c, _: (lax.scan(inner, c, None, length=3)[0], None)  # noqa: E731
    return lax.scan(outer, x, None, length=4)[0]

  (row,) = count(f, X).rows
  assert (row.macs, row.times) == (12 * DOT, 12)


def test_shard_map_counts_all_devices():
  auto = dict(axis_types=(jax.sharding.AxisType.Auto,))
  mesh = Mesh(np.array(jax.devices()[:1]), ("data",), **auto)
  spec = PartitionSpec("data")
  f = jax.shard_map(
    lambda x, w: tag(x, 1) @ w,
    mesh=mesh,
    in_specs=(spec, PartitionSpec()),
    out_specs=spec,
  )
  assert count(f, X, X, params=1).macs == {(32, 1): DOT}
  abstract = jax.sharding.AbstractMesh((2,), ("data",), **auto)
  g = jax.shard_map(
    lambda x, w: tag(x, 1) @ w,
    mesh=abstract,
    in_specs=(spec, PartitionSpec()),
    out_specs=spec,
  )
  report = count(g, X, X, params=1)
  assert report.macs == {(32, 1): DOT}
  assert report.kernel_count == 16
