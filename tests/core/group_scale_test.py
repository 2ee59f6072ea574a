import jax.numpy as jnp
import numpy as np
import pytest

from bnnjax.core import registry
from bnnjax.core.spec import parse

W = np.random.default_rng(0).normal(size=(3, 3, 4, 6)).astype(np.float32)


def test_groups():
  w = W.reshape(-1, 6)
  measure = registry.get("scale", "group_l1").measure
  got = measure(jnp.asarray(w), {}, {}, None, size=9).scale
  np.testing.assert_allclose(got, np.abs(w).reshape(4, 9, 6).mean(1), rtol=1e-5)
  with pytest.raises(ValueError, match="multiple of the group size: got shape"):
    measure(jnp.asarray(w), {}, {}, None, size=7)
  with pytest.raises(ValueError, match=r"got shape \(3, 3, 4, 6\)"):
    measure(jnp.asarray(W), {}, {}, None, size=4)


def test_a_group_is_declared_to_the_counter_and_checked_when_built():
  made = parse("ste|group_max(size=2)", "weight")
  assert made.kind.group == 2
  with pytest.raises(ValueError, match=r"got shape \(3, 2\) and size 2"):
    made.init(jnp.ones((3, 2)))
