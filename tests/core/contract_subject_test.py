"""What `bx.check` takes, and the tensors it makes."""

import jax.numpy as jnp
import numpy as np
import pytest

from bnnjax.core import registry
from bnnjax.core.contract_subject import Subject, subjects
from bnnjax.core.spec import parse


@pytest.mark.parametrize(
  ("given", "role", "roles"),
  [
    ("approx_sign", None, ["act"]),
    ("approx_sign", "weight", ["weight"]),
    ("approx_sign|channel_l1", None, ["weight"]),
    ("center > approx_sign", None, ["weight"]),
    ("approx_sign|ema_bound", None, ["weight"]),
    ("reactnet", None, ["weight", "act"]),
    ("reactnet", "act", ["act"]),
    ("differentiable_binarization", None, ["act"]),
    (registry.get("method", "reactnet"), None, ["weight", "act"]),
    (registry.get("estimator", "ede"), None, ["act"]),
    (registry.get("estimator", "ede"), "weight", ["weight"]),
    (parse("ede", "weight"), None, ["weight"]),
    (parse("ede", "weight"), "act", ["act"]),
  ],
)
def test_roles(given, role, roles):
  assert [s.made.role for s in subjects(given, role, None)] == roles


@pytest.mark.parametrize(
  ("given", "options", "message"),
  [
    (lambda x: x, {}, "`@bx.estimator` makes an Estimator of a function"),
    (None, {}, "`check` takes a spec"),
    ("float", {}, "binarizes nothing"),
    ("fbi_llm", {"role": "act"}, "binarizes nothing for the role 'act'"),
    ("stee", {}, "Did you mean 'ste'"),
    ("ste", {"role": "weights"}, "Did you mean 'weight'"),
    ("ste", {"shape": 8}, "a tuple of whole numbers"),
    ("ste", {"shape": ()}, "a tuple of whole numbers"),
    ("ste", {"shape": (0, 8)}, "a tuple of whole numbers"),
  ],
)
def test_what_is_refused(given, options, message):
  with pytest.raises((TypeError, ValueError), match=message):
    subjects(given, options.get("role"), options.get("shape"))


def test_rows_divide_into_groups():
  (subject,) = subjects("ste|group_l1(size=24)", None, None)
  assert subject.shape == (24, 8)


def test_points_fill_tensors_of_the_shape():
  subject = Subject(parse("ste", "act"), (2, 3))
  parts = subject.filled([1e30, -7.0, *range(5)], jnp.float16)
  got = np.concatenate([np.ravel(part) for part in parts])
  assert got.tolist() == [65504, -7, 0, 1, 2, 3, 4] + 5 * [0.5]
