"""Digests of code: equal for what computes the same, else different."""

import subprocess
import sys
import textwrap

import jax
import jax.numpy as jnp
import pytest
from flax import nnx

import bnnjax as bx
from bnnjax.core import registry
from bnnjax.train import code


def made(text, **names):
  """What a file of this text defines as `f`, as in a module of a user."""
  found = {"__name__": "__main__", "jnp": jnp, "jax": jax, "nnx": nnx, **names}
  exec(textwrap.dedent(text), found)
  return found["f"]


FUNCTION = """
  def helper(x):
    return x + 1

  C = 3

  def f(x, *, width=1.0):
    return jnp.maximum(0, C - helper(x) / width)
"""


@pytest.mark.parametrize(
  ("old", "new"),
  [
    ("C - helper", "C + helper"),
    ("width=1.0", "width=2.0"),
    ("C = 3", "C = 4"),
    ("x + 1", "x + 2"),  # what it calls
    ("jnp.maximum", "jnp.minimum"),
    ("def f", "@jax.jit\n  def f"),
  ],
)
def test_what_changes_a_function(old, new):
  assert old in FUNCTION
  assert code.of(made(FUNCTION)) != code.of(made(FUNCTION.replace(old, new)))


@pytest.mark.parametrize(
  ("old", "new"),
  [
    ("C = 3", "C = 3  # why"),
    ("width=1.0):\n", 'width=1.0):\n    """Says what it does."""\n'),
    ("  C = 3\n", "\n\n  C = 3\n  other = 5\n"),  # not used
  ],
)
def test_what_does_not_change_a_function(old, new):
  assert old in FUNCTION
  assert code.of(made(FUNCTION)) == code.of(made(FUNCTION.replace(old, new)))


@pytest.mark.parametrize(
  "text",
  [
    "f = jax.jit(lambda x: x + 1)",
    "import functools; f = functools.partial(jnp.add, 1)",
    "def outer(k): return lambda x: x + k\nf = outer(1)",
    "class f(nnx.Module):\n  def __call__(self, x): return x + 1",
    "class f(nnx.Module):\n  @property\n  def y(self): return 1",
    "class A(nnx.Module):\n  k = 1\nclass f(A): pass",
    "import numpy as np\nk = np.arange(3) + 1\ndef f(x): return x + k",
    "def f(x): return f(x - 1) if x else 1",
    "@jax.custom_vjp\ndef f(x): return x\n"
    "f.defvjp(lambda x: (x, None), lambda _, dy: (dy * 1,))",
  ],
)
def test_kinds_of_code(text):
  other = text.replace("1", "2")
  assert code.of(made(text)) == code.of(made(text))
  assert code.of(made(text)) != code.of(made(other))


def test_a_config_names_what_users_registered():
  config = {"model": {"act": "sharp(width=2.0)", "weight": "ste"}, "seed": 1}
  found = []
  for bound in (1, 2, 1):
    with registry.restored():

      @bx.estimator()
      def sharp(x, *, width=1.0, bound=bound):
        return bound * (jnp.abs(x) < width)

      found.append(code.of_config(config))
  assert list(found[0]) == ["estimator sharp"]
  assert found[0] == found[2] != found[1]
  assert code.of_config({"model": {"act": "ste|channel_l1"}}) == {}


def test_a_method_names_its_estimator():
  with registry.restored():

    @bx.estimator()
    def sharp(x):
      return 1 - jnp.abs(x)

    bx.method(
      "mine", weight="sharp|channel_l1", act="sharp", paper="Ours", arxiv="0"
    )
    found = code.of_config({"model": {"act": "mine"}})
  assert {"estimator sharp", "method mine"} <= set(found)


def test_digests_are_those_of_another_process():
  text = (
    "from tests.train import code_test as t; from bnnjax.train import code;"
  )
  text += " print(code.of(t.made(t.FUNCTION)), code.of(t.with_sets))"
  mine = f"{code.of(made(FUNCTION))} {code.of(with_sets)}"
  done = subprocess.run(
    [sys.executable, "-c", text], check=True, capture_output=True, text=True
  )
  assert done.stdout.strip() == mine


def with_sets(x):
  """Sets of texts have another order in each process."""
  return x in {"one", "two", "three", "four", "five"}
