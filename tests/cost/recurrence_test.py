"""Recurrences cost their own form, whatever chunks they run in."""

import functools

import jax
import jax.numpy as jnp
import pytest
from flax import nnx

from bnnjax.core.declared_cost import counted_as
from bnnjax.cost import count
from bnnjax.cost.recurrence import AS_WRITTEN
from bnnjax.layers.mamba1 import selective_scan
from bnnjax.layers.mamba2 import Mamba2
from bnnjax.layers.ssd import ssd, ssd_sequential, ssd_step

B, T, H, P, G, N = 2, 50, 4, 8, 2, 16
SHAPES = (B, T, H, P), (B, T, H), (B, T, G, N), (B, T, G, N)


def shapes(*dims, dtype="float32"):
  return [jax.ShapeDtypeStruct(d, dtype) for d in dims]


def run_by(size):
  """MACs of Mamba-2's chunks of `size` tokens, from its products."""
  chunks = -(-T // size)
  segments = -(-chunks // 8)
  padded = segments * -(-chunks // segments) * size
  within = G * size * N + H * size * P  # C B^T, and that times X
  return B * padded * (within + 2 * H * P * N)


@pytest.mark.parametrize("size", [1, 7, 16, T, 64])
def test_cost_of_mamba2_does_not_depend_on_the_chunk(size):
  report = count(functools.partial(ssd, chunk=size), *shapes(*SHAPES))
  assert report.macs == {(32, 32): 2 * B * T * H * P * N}
  size = min(size, T)
  assert report.extra_macs == run_by(size) - report.total_macs
  text = "ssd: counted as the recurrence of Mamba-2"
  assert [n.startswith(text) for n in report.notes] == [True]
  assert report.to_json()["extra_macs"] == report.extra_macs
  assert f"extra MACs = {report.extra_macs:,}" in report.table("csv")
  assert "as declared" in report.table("csv")


def test_token_by_token_costs_the_same():
  per_token = 2 * H * P * N
  report = count(ssd_sequential, *shapes(*SHAPES))
  assert report.macs == {(32, 32): B * T * per_token}
  assert AS_WRITTEN not in "".join(report.notes)
  token = shapes((B, H, P), (B, H), (B, G, N), (B, G, N), (B, H, P, N))
  report = count(ssd_step, *token)
  assert (report.macs, report.extra_macs) == ({(32, 32): B * per_token}, 0)


@pytest.mark.parametrize("size", [1, 16, 64])
def test_cost_of_mamba1_does_not_depend_on_the_chunk(size):
  given = shapes((B, T, 6), (B, T, 6), (6, N), (B, T, N), (B, T, N))
  report = count(functools.partial(selective_scan, chunk=size), *given)
  assert report.macs == {(32, 32): 2 * B * T * 6 * N}
  assert report.extra_macs == 0  # its products are those of the recurrence


def test_gradient_and_batch():
  def loss(*given):
    return ssd(*given, chunk=16)[0].sum()

  once = 2 * B * T * H * P * N
  grad = jax.value_and_grad(loss, argnums=(0, 1, 2, 3))
  assert count(grad, *shapes(*SHAPES)).total_macs == 3 * once
  many = jax.vmap(jax.vmap(loss), in_axes=1)
  batch = shapes(*((3, 5, *s) for s in SHAPES))
  assert count(many, *batch).total_macs == 15 * once
  scanned = lambda *xs: jax.lax.scan(  # noqa: E731
    lambda c, x: (c + loss(*x), None), 0.0, xs
  )
  batch = shapes(*((5, *s) for s in SHAPES))
  assert count(scanned, *batch).total_macs == 5 * once


def test_what_is_declared_replaces_what_runs():
  declared = counted_as(lambda x, w: x @ w, 7, bits=(1, 8), what="a trick")
  report = count(lambda x, w: declared(x, w) @ w, *shapes((2, 4), (4, 4)))
  assert report.macs == {(1, 8): 7, (32, 32): 32}
  assert report.extra_macs == 32 - 7
  assert [r.macs for r in report.replaced] == [32]
  assert report.ace == 7 * 8 + 32 * 256


def test_a_block_of_mamba2_costs_the_same_at_every_chunk():
  def cost(chunk):
    block = nnx.eval_shape(
      lambda: Mamba2(32, state=16, head_size=16, chunk=chunk, rngs=nnx.Rngs(0))
    )
    return count(block, *shapes((1, T, 32)))

  small, large = cost(8), cost(64)
  assert small.ace == large.ace
  assert small.extra_macs < large.extra_macs
  inside, state = 64, 16
  projections = 32 * (2 * inside + 2 * state + 4) + inside * 32
  assert small.total_macs == T * (projections + 2 * inside * state)


def test_foreign_recurrences_are_counted_as_written_and_noted():
  def rnn(x, w):
    step = lambda h, x: (jnp.tanh(x + h @ w), None)  # noqa: E731
    return jax.lax.scan(step, jnp.zeros((4,)), x)[0]

  def decay(x, w):
    step = lambda h, x: (h * jnp.exp(x), h)  # noqa: E731
    return jax.lax.scan(step, jnp.zeros((4,)), x)

  def layers(x, w):
    return jax.lax.scan(lambda h, w: (h @ w, None), x, w[None])[0]

  def total(x, w):
    return jax.lax.scan(lambda s, x: (s + x @ w, None), jnp.zeros((4,)), x)[0]

  def noted(f, **options):
    report = count(f, *shapes((9, 4), (4, 4)), **options)
    return sum(AS_WRITTEN in n for n in report.notes), report.total_macs

  assert noted(rnn) == (1, 9 * 16)
  assert noted(decay) == (1, 0)
  assert noted(layers, params=1) == (0, 9 * 16)
  assert noted(total) == (0, 9 * 16)
