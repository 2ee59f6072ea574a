"""`bnnjax new`: writes the skeleton of a method and of its test."""

import argparse
import keyword
import re
from pathlib import Path

from bnnjax.commands.command import Command, argument
from bnnjax.errors import UserError

EXAMPLES = """\
  bnnjax new my_sign --arxiv=2112.00133
"""
METHOD = '''"""TODO: what the paper does, in one line.

TODO: Title, Authors, Year, arXiv:{arxiv}, eq. N.
"""

import jax.numpy as jnp

from bnnjax.core.estimator import estimator
from bnnjax.core.method import method


@estimator()
def {name}(x, *, width=1.0):
  """TODO: one-line summary.

  Forward: `sign(x)`, sign(0) = +1.
  Backward: `dx = dy max(0, 1 - |x| / width)`.

  Args:
    x: latent tensor `[...]`.
    width: half-width of the surrogate.
  """
  return jnp.maximum(0, 1 - jnp.abs(x) / width)


method(
  "{name}",
  paper="TODO: Title, Authors, Year",
  arxiv="{arxiv}",
  weight="{name}|channel_l1",
  act="{name}",
)
'''
TEST = '''"""TODO: {name} against its authors' code, or by hand."""

import jax
import jax.numpy as jnp
import numpy as np

from bnnjax.core import registry


def test_surrogate_by_hand():
  {name} = registry.get("estimator", "{name}")
  x = jnp.array([-2.0, -0.5, 0.0, 0.5])
  y, vjp = jax.vjp({name}, x)
  np.testing.assert_array_equal(y, [-1, -1, 1, 1])
  np.testing.assert_allclose(vjp(jnp.ones(4))[0], [0, 0.5, 1, 0.5])
'''


def write(name: str, arxiv: str, root: str | Path = ".") -> list[Path]:
  """Writes `bnnjax/methods/NAME.py` and `tests/methods/NAME_test.py`.

  Outside a clone of bnnjax, both go to the current folder; declare the method
  as an entry point in the group `bnnjax.plugins`, or `--load` it.

  Raises:
    UserError: the name is not valid or taken, the arXiv identifier is not
      valid, or a file exists.
  """
  from bnnjax.core import registry

  if not name.isidentifier() or name != name.lower():
    raise UserError(
      f"A method is named like a Python module, e.g. my_sign; got {name!r}."
    )
  words = set(re.findall(r"\w+", f"{METHOD} {TEST}"))
  if keyword.iskeyword(name) or name in words:
    raise UserError(
      f"The files of a method use the name {name!r} themselves: take another."
    )
  if not re.fullmatch(r"[0-9]{4}\.[0-9]{4,5}", arxiv):
    raise UserError(
      f"An arXiv identifier reads like 2112.00133, got {arxiv!r}."
    )
  for kind in ("method", "estimator"):
    if name in registry.registered(kind):
      raise UserError(f"There is a {kind} {name!r} already.")
  root = Path(root)
  inside = (root / "bnnjax" / "methods").is_dir()
  files = {
    root / ("bnnjax/methods" if inside else "") / f"{name}.py": METHOD,
    root / ("tests/methods" if inside else "") / f"{name}_test.py": TEST,
  }
  for path in files:
    if path.exists():
      raise UserError(f"{path} exists already.")
  for path, text in files.items():
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text.format(name=name, arxiv=arxiv))
  return list(files)


def run(args: argparse.Namespace) -> int:
  """Prints the paths of the files that it writes."""
  for path in write(args.method, args.arxiv):
    print(path)
  return 0


COMMAND = Command(
  "Write the two skeleton files of a new method.",
  EXAMPLES,
  run,
  arguments=(
    argument("method", "its name, e.g. my_sign"),
    argument("--arxiv", "arXiv identifier of the paper"),
  ),
  needed=("method", "--arxiv"),
)
