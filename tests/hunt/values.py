"""Random values: near a default, extreme, or of the wrong type."""

import random
from typing import Any

# Names that a hyper-parameter of text may take.
CHOICES = {
  "per": ("channel", "token", "tensor", "input", "output"),
  "along": ("feature", "filter"),
  "axes": ("tensor", "channel", "input"),
  "init": ("l1", "max", 0.5, 1),
}
# A small model of what an integer may be.
SMALL = {
  "bits": (2, 3, 4, 8),
  "size": (2, 4),
  "reduction": (1, 2, 4),
  "at_zero": (1,),
  "anchors": (2, 3),
  "iterations": (1, 2),
  "top_k": (1, 2),
}
EXTREME = (
  "0", "1", "-1", "-0.0", "0.0", "1e-30", "-1e-30", "1e30", "-1e30", "1e300",
  "1e999", "-1e999", "10**400", "2147483648", "-2147483649", "1000",
  "99999999999999999999", "0.5", "-0.5", "3", "7.5", "1e-7", "100000",
)  # fmt: skip
WRONG = (
  "None", "True", "False", "'x'", "''", "'channel'", "()", "(1, 2)", "[]",
  "[1.0]", "{}", "{'a': 1}", "{1, 2}", "1j", "b'x'", "...", "'1'", "(0.5,)",
  "-True", "1+2j", "'\\x00'", "nan", "inf", "x", "f'a'", "lambda: 1",
)  # fmt: skip
SCHEDULES = ("linear", "geometric", "exponential", "cosine", "quarter_cosine",
             "staircase", "switch")  # fmt: skip


def sane(r: random.Random, name: str, default: Any) -> str:
  """A literal that the hyper-parameter `name` can take."""
  if name in SMALL:
    return repr(r.choice(SMALL[name]))
  if name in CHOICES:
    return repr(r.choice(CHOICES[name]))
  if isinstance(default, bool):
    return repr(r.random() < 0.5)
  if isinstance(default, float):
    return repr(default * r.choice((0.5, 1.0, 1.0, 1.25)))
  return repr(default)


def schedule(r: random.Random, name: str, default: Any) -> str:
  """A schedule in place of a literal."""
  kind = r.choice(SCHEDULES)
  keys = ("at", "before", "after") if kind == "switch" else ("start", "end")
  used = [k for k in keys if r.random() < 0.7]
  value = (lambda: sane(r, name, default)) if r.random() < 0.7 else (
    lambda: r.choice(EXTREME + WRONG)
  )  # fmt: skip
  return f"{kind}({', '.join(f'{k}={value()}' for k in used)})"


def anything(r: random.Random, name: str, default: Any) -> str:
  """A literal, sane or not, or a schedule."""
  roll = r.random()
  if roll < 0.3:
    return sane(r, name, default)
  if roll < 0.6:
    return r.choice(EXTREME)
  if roll < 0.85:
    return r.choice(WRONG)
  return schedule(r, name, default)
