"""A point shows its input to the collector that is attached."""

import jax.numpy as jnp
import numpy as np

from bnnjax.core import collector
from bnnjax.layers.collection_point import Collected, CollectionPoint


class Halves(CollectionPoint):
  """A kernel that is multiplied with the halves of the input."""

  def rows(self, x):
    return x.reshape(-1, x.shape[-1] // 2)


def attach(point, name, shape):
  made = collector.parse(name)
  point.collected = Collected(made.init(shape), collector=made)


def test_without_a_collector_it_is_the_identity():
  x = jnp.ones((2, 4))
  assert CollectionPoint().observe(x) is x


def test_an_attached_collector_sees_the_input_or_its_rows():
  x = jnp.array([[1.0, 2.0, 3.0, -4.0]])
  point = Halves()
  attach(point, "absmax", (1, 4))
  np.testing.assert_array_equal(point.observe(x), x)
  seen = point.collected.get_value()["absmax"]
  np.testing.assert_array_equal(seen, [1, 2, 3, 4])
  attach(point, "gram", (2, 2))
  point.observe(x)
  state = point.collected.get_value()
  np.testing.assert_array_equal(state["gram"], [[10, -10], [-10, 20]])
  assert state["count"] == 2
