"""`bx.check`: does an estimator keep the contract of all estimators?

One suite serves users and the tests of this package: `CHECKS` names what an
estimator has to do. It examines the estimator alone, at points where formulas
break, and the whole binarizer (transform, estimator, scale) in training and
deployed.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax

from bnnjax import errors
from bnnjax.core import contract_checks as numbers
from bnnjax.core import contract_traces as traces
from bnnjax.core.contract_checks import Finding
from bnnjax.core.contract_report import Check, Report
from bnnjax.core.contract_subject import Subject, subjects

LONGEST = 200  # characters of an exception's message


class Rule(NamedTuple):
  """A check: its name, what is right, and the function that looks."""

  name: str
  right: str
  find: Callable[[Subject], Finding]


CHECKS = (
  Rule("runs", "a value and a gradient", numbers.runs),
  Rule(
    "closed-over tracer",
    "formulas of their arguments and of constants alone",
    traces.leak,
  ),
  Rule("shape", "the shape of the tensor", numbers.shape),
  Rule(
    "dtype",
    "every formula, the output and the gradient in the tensor's dtype",
    traces.dtype,
  ),
  Rule(
    "alphabet",
    "two or more values of the declared alphabet or grid, not falling at 0",
    numbers.alphabet,
  ),
  Rule("sign of zero", "+1 (or the sign that `at_zero` says)", numbers.zero),
  Rule(
    "finite slope",
    "a finite gradient everywhere, not always 0",
    numbers.finite_slope,
  ),
  Rule(
    "scale",
    "output = value x scale; a grid and a slope in units of the scale",
    numbers.scale,
  ),
  Rule(
    "parameters",
    "a gradient for each trained parameter",
    numbers.parameters,
  ),
  Rule("NaN", "NaN for NaN, never a sign", numbers.nan),
  Rule(
    "batch",
    "a deployed example does not depend on its batch",
    numbers.batch,
  ),
  Rule(
    "sizes",
    "an empty batch keeps its shape; a single number does or is refused",
    numbers.sizes,
  ),
  Rule("deterministic", "equal calls give equal bits", traces.deterministic),
  Rule("jit", "the same with and without `jax.jit`", traces.compiled),
  Rule("vmap", "`jax.vmap` equals a loop", traces.mapped),
  Rule(
    "retrace",
    "one program for all steps, whatever the hyper-parameters' values",
    traces.retrace,
  ),
  Rule("schedule", "a schedule that changes something", traces.schedule),
)


def check(
  estimator: Any,
  *,
  role: str | None = None,
  shape: tuple[int, ...] | None = None,
) -> Report:
  """Runs the contract suite on one estimator and says what fails.

  An exception of the estimator's own code is a check that failed.

  Args:
    estimator: a spec such as `"triangle(width=2)|channel_l1"`, an `Estimator`
      (what `@bx.estimator` returns), a `Binarizer`, or a method: its presets
      for weights and activations are both checked.
    role: `"weight"` or `"act"`. By default an estimator alone is checked as one
      of activations, of which more is asked (an example must not depend on its
      batch); one with a scale or a transform as one of weights.
    shape: of the tensors, for parts that need a certain rank; by default a
      matrix `[8, 8]`, with more rows where a scale has larger groups.

  Returns:
    One line for each check. It is false if one failed, prints as a table, and
    `raise_if_failed()` raises.

  Raises:
    TypeError, ValueError: what is given is no estimator or cannot be read.

  Example:
    >>> bx.check("ste|channel_l1").raise_if_failed()
    ste|channel_l1: 0 of 13 checks failed ...
  """
  checks: list[Check] = []
  for subject in subjects(estimator, role, shape):
    checks += _checked(subject)
  return Report(_named(estimator), tuple(checks))


def _checked(subject: Subject) -> list[Check]:
  """All checks; what the first exception stops is not repeated."""
  lines: list[Check] = []
  reason = None
  for rule in CHECKS:
    found, error = _look(rule, subject)
    if error is not None and error == reason:
      found = Finding(None, "not run: the same error")
    reason = reason or error
    role = subject.made.role
    lines.append(Check(rule.name, *found, rule.right, role))
  return lines


def _look(rule: Rule, subject: Subject) -> tuple[Finding, str | None]:
  """What a check finds, and the exception that stopped it."""
  try:
    subject.variables  # noqa: B018 (outside of any trace)
    return rule.find(subject), None
  except traces.NOT_TRACEABLE as error:
    if rule.find is traces.compiled:
      return Finding(False, _said(error)), None
    return Finding(None, "not run: it stops under `jax.jit`"), None
  # Anything can go wrong in other people's code.
  except (Exception, SystemExit) as error:
    said = _said(error)
    return Finding(False, said), said


def _said(error: BaseException) -> str:
  """The first lines of an exception; jax explains at length."""
  if isinstance(error, jax.errors.UnexpectedTracerError):
    return "UnexpectedTracerError: a traced array is used outside its trace"
  text = errors.one_paragraph(f"{type(error).__name__}: {error}")
  return text if len(text) <= LONGEST else f"{text[:LONGEST]}..."


def _named(estimator: Any) -> str:
  if isinstance(estimator, str):
    return errors.one_paragraph(estimator)
  own = getattr(estimator, "name", None)  # of an Estimator or a Method
  if isinstance(own, str):
    return own
  return errors.one_paragraph(str(estimator))
