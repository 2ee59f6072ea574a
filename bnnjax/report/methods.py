"""The table of methods, and the curves of estimators, from the registry."""

import re

import jax
import jax.numpy as jnp
import numpy as np

import bnnjax.methods  # noqa: F401 (registers them)
from bnnjax.core import registry
from bnnjax.core.progress import Mode, Progress
from bnnjax.core.spec import parse
from bnnjax.report import markdown

COLUMNS = (
  "method", "paper", "weights", "activations", "attention", "estimator",
)  # fmt: skip
OPERANDS = ("query", "key", "value", "probs")
POINTS = np.linspace(-2.5, 2.5, 101)


def formula(name: str) -> str:
  """The sentences on forward and backward in an estimator's docstring."""
  text = registry.get("estimator", name).__doc__ or ""
  found = re.search(r"(Forward.*?)(\n\s*\n|$)", text, re.S)
  return " ".join(found.group(1).split()) if found else ""


def estimators_of(name: str) -> list[str]:
  """Names of the estimators in a method's presets."""
  inside = registry.get("method", name).attention
  made = (
    parse(name, "weight"),
    parse(name, "act"),
    *(parse(inside.get(operand), "act") for operand in OPERANDS),
  )
  low_bit = (m for m in made if m is not None and not m.is_float)
  return list(dict.fromkeys(m.estimator.name for m in low_bit))


def method_table() -> str:
  """A markdown table of all methods: presets and formulas."""
  rows = []
  for name in registry.registered("method"):
    method = registry.get("method", name)
    inside = ", ".join(f"{k} `{v}`" for k, v in method.attention.items())
    formulas = " ".join(f"`{n}`: {formula(n)}" for n in estimators_of(name))
    cells = (
      f"`{name}`",
      method.paper + (f", arXiv:{method.arxiv}" if method.arxiv else ""),
      f"`{method.weight.spec}`" if method.weight.spec else "float",
      f"`{method.act.spec}`" if method.act.spec else "float",
      inside,
      formulas,
    )
    rows.append(cells)
  return markdown.table(COLUMNS, rows)


def curves() -> dict[str, dict[str, list[float]]]:
  """Forward values and surrogate gradient of every estimator on `POINTS`.

  For an estimator that depends on the whole tensor, the points are the tensor;
  annealed ones are shown at the end of the run.
  """
  mode = Mode(Progress.at(1, 1, 1.0), train=False, deployed=True)
  drawn = {}
  for name in registry.registered("estimator"):
    if name == "float":
      continue
    made = parse(name, "act")
    x = jnp.asarray(POINTS, jnp.float32)[:, None]
    params, stats = made.init(x)

    def apply(x, made=made, params=params, stats=stats):
      return made.apply(x, params, stats, mode)[0].dequantize()

    y, vjp = jax.vjp(apply, x)
    (slope,) = vjp(jnp.ones_like(y))
    drawn[name] = {
      "forward": np.asarray(y[:, 0], float).round(5).tolist(),
      "surrogate": np.asarray(slope[:, 0], float).round(5).tolist(),
    }
  return drawn
