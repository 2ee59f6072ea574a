"""Rules against a trace."""

import jax
import jax.numpy as jnp
import pytest
from jax import lax

from bnnjax.convert import kernels, plan
from bnnjax.convert import rules as rules_lib
from bnnjax.convert.kernels import Kernel
from bnnjax.errors import UserError

W1A1 = {"weight": "ste|channel_l1", "act": "ste"}
LEARNED = {"weight": "ste|learned"}
NAMES = ["a", "b", "c", "other"]


def uses(fn):
  w = jax.ShapeDtypeStruct((3, 3), jnp.float32)
  jaxpr = jax.make_jaxpr(fn)([w] * len(NAMES), w)
  return kernels.follow(jaxpr, [*map(Kernel, NAMES), None])[1]


def chain(p, x):
  return x @ p[0] @ p[1] @ p[2]


def planned(rules, fn=chain):
  return plan.plan_of(rules_lib.read(rules), NAMES, uses(fn))


def test_layers_in_the_order_of_their_use():
  found = planned({"[bc]": W1A1, "a": None})
  assert found.order == ("a", "b", "c")
  assert list(found.layers) == ["b"]  # `c` is the last one
  assert list(planned({"c": W1A1, ".*": W1A1}).layers) == ["b", "c"]


def test_a_tied_parameter_is_both_ends():
  tied = planned({".*": W1A1}, lambda p, x: x @ p[0] @ p[1] @ p[2] @ p[0].T)
  assert list(tied.layers) == ["b", "c"]


@pytest.mark.parametrize(
  ("rules", "says"),
  [
    ({"d": W1A1}, "matches no layer"),
    ({"oth.*": W1A1}, "'other' is no operand of a dot"),
    ({"[ac]": W1A1}, "write 'a' and 'c'"),
    ({".*": W1A1, "b": None}, "never applies"),
  ],
)
def test_rules_without_a_layer(rules, says):
  with pytest.raises(UserError, match=says):
    planned(rules)


@pytest.mark.parametrize(
  ("fn", "says"),
  [
    (lambda p, x: x @ p[0] @ p[1] @ p[1].T @ p[2], "used in two layouts"),
    (lambda p, x: x @ p[0] @ p[1] @ p[1][:, :2] @ p[2][:2], "Only a slice of"),
    (
      lambda p, x: (
        x @ p[0] @ lax.map(lambda w: x @ w[:, None], p[1])[..., 0] @ p[2]
      ),
      None,
    ),
    (
      lambda p, x: x @ p[0] @ jax.grad(lambda x: (x @ p[1]).sum())(x) @ p[2],
      "cannot be binarized: its contraction belongs to a derivative",
    ),
  ],
)
def test_what_cannot_be_planned(fn, says):
  parameters = dict.fromkeys(NAMES, jax.ShapeDtypeStruct((3, 3), jnp.float32))
  made = planned({"b": LEARNED}, fn)
  if says is None:
    _, learned, _ = plan.started(made, parameters, uses(fn))
    assert learned["b"]["weight"]["scale"].shape == (3, 1, 1)
    return
  with pytest.raises(UserError, match=says):
    plan.started(made, parameters, uses(fn))


def test_random_starts_differ_between_layers():
  parameters = dict.fromkeys(NAMES, jnp.ones((3, 3)))
  rule = {"weight": "ste|learned(init='uniform')"}
  made = planned({"b": rule, "c": rule})
  _, learned, _ = plan.started(made, parameters, uses(chain))
  scales = [learned[path]["weight"]["scale"] for path in ("b", "c")]
  assert not jnp.array_equal(*scales)


def test_layers_of_another_trace():
  rules = rules_lib.read({"[bo].*": W1A1})
  made = plan.plan_of(rules, NAMES, uses(chain))
  plan.check_uses(rules, made, uses(lambda p, x: x @ p[1]))
  with pytest.raises(UserError, match="'other' was not used with the example"):
    plan.check_uses(rules, made, uses(lambda p, x: x @ p[3]))
