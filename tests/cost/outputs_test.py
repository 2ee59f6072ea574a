"""What a function gives back, and arguments without a size."""

import jax
import jax.numpy as jnp
from flax import nnx

from bnnjax.cost import count


def shape(*dims):
  return jax.ShapeDtypeStruct(dims, jnp.float32)


X = shape(4, 8)


FIRST, HEAD = 4 * 8 * 16, 4 * 16 * 2


def test_intermediates_are_no_results(net):
  assert count(net, X).total_macs == FIRST + HEAD


def test_what_is_left_in_a_module_is_a_result(net):
  net.train()
  # Statistics alone: the head is dead.
  statistics = count(lambda m, x: m(x) is None, net, X)
  assert statistics.total_macs == FIRST
  assert not statistics.warnings

  def step(m, x):
    loss, grads = nnx.value_and_grad(lambda m: (m(x) ** 2).sum())(m)
    nnx.update(
      m, jax.tree.map(lambda p, g: p - g, nnx.state(m, nnx.Param), grads)
    )
    return loss

  # Both products forward, both gradients of the head, the kernel's of the first.
  assert count(step, net, X).total_macs == 2 * FIRST + 3 * HEAD
  assert count(lambda m, x: step(m, x) is None, net, X).total_macs == (
    2 * FIRST + 3 * HEAD
  )


def test_a_function_without_a_result_is_said_to_be_dead():
  report = count(lambda x: print(x @ x.T), X)
  assert report.total_macs == 0
  assert "returns no array" in report.warnings[0]


def test_a_result_that_cannot_be_seen_is_named():
  class Box:
    def __init__(self, y):
      self.y = y

  report = count(lambda x: (x + 1, Box(x @ x.T)), X)
  assert "type Box is no pytree" in report.warnings[0]
  fine = {"a": 1, "b": "text", "c": None, "d": 1.5}
  assert not count(lambda x: (x, fine), X).warnings
