"""Checks of the programs of an estimator: dtypes, jit, vmap, traces.

They are like those of `contract_checks`.
"""

import contextlib
import gc
import re
from collections.abc import Iterator
from typing import Any

import jax
import jax.monitoring
import jax.numpy as jnp
import numpy as np

from bnnjax.core.contract_checks import (
  RUN,
  Finding,
  passed,
  skipped,
  wrong,
)
from bnnjax.core.contract_subject import DTYPES, Subject, at

COMPILED = "/jax/core/compile/backend_compile_duration"
# Read as a Python number, a traced hyper-parameter raises one of these.
NOT_TRACEABLE = (
  jax.errors.ConcretizationTypeError,
  jax.errors.TracerArrayConversionError,
)
_ADDRESS = re.compile(r" at 0x[0-9a-f]+")


def _differ(got: Any, wanted: Any) -> str | None:
  """Which of output and gradients differ."""
  names = ("the output", "the gradient", "a parameter's gradient")
  for name, a, b in zip(names, got, wanted):
    for left, right in zip(jax.tree.leaves(a), jax.tree.leaves(b)):
      if not np.allclose(left, right, rtol=1e-4, atol=1e-5, equal_nan=True):
        return name
  return None


def dtype(s: Subject) -> Finding:
  """Output, gradient and every formula keep the dtype of the tensor."""
  for d in DTYPES:
    x, name = jax.ShapeDtypeStruct(s.shape, d), jnp.dtype(d).name
    for what, got in _formulas(s, x).items():
      if not _fits(got, d):
        shown = "float0" if got == jax.dtypes.float0 else got
        return wrong(f"{what} is {shown} for {name}")
    params, progress = s.variables[0], at(0)
    y, dx, dparams = jax.eval_shape(s.differentiated, x, params, progress)
    deployed = jax.eval_shape(s.dequantized, x)
    for what, got in (("output", y), ("output", deployed), ("gradient", dx)):
      if got.dtype != d:
        return wrong(f"the {what} is {got.dtype} for {name}")
    for key, p in params.items():
      if dparams[key].dtype != p.dtype:
        return wrong(f"gradient {dparams[key].dtype} of {key!r}, a {p.dtype}")
  return passed("kept: " + ", ".join(jnp.dtype(d).name for d in DTYPES))


def _formulas(s: Subject, x: jax.ShapeDtypeStruct) -> dict[str, Any]:
  """Dtypes that the formulas return, before `Estimator` casts them."""
  est, made = s.estimator, {}
  if s.made.is_float:
    return made
  hp = est.hyper(**s.hyper())
  offered = {"params": s.variables[0], "scale": jnp.ones((), x.dtype)}

  def call(formula, takes):
    given = {k: v for k, v in {**offered, **hp}.items() if k in takes}
    return jax.eval_shape(lambda x: formula(x, **given), x).dtype

  if est.forward is not None:
    made["`forward`"] = call(est.forward, est.forward_takes)
  hp.pop("at_zero", None)
  if est.slope is not None:
    made["the slope"] = call(est.slope, est.slope_takes)
    return made

  def rule(x):
    params = () if est.init is None else (s.variables[0],)
    found = est.rule(x, offered["scale"], jnp.ones_like(x), *params, **hp)
    return found[0] if params else found

  return {**made, "the rule": jax.eval_shape(rule, x).dtype}


def _fits(got: Any, wanted: Any) -> bool:
  """Whether a formula's dtype is the wanted one, or of exact small numbers."""
  if got == jax.dtypes.float0:
    return False
  whole = got == jnp.bool_ or jnp.issubdtype(got, jnp.integer)
  return bool(whole) or got == wanted


def deterministic(s: Subject) -> Finding:
  """Two calls give the same, bit by bit."""
  args = s.x, s.variables[0], at(0)
  first, second = s.differentiated(*args), s.differentiated(*args)
  for one, other in zip(jax.tree.leaves(first), jax.tree.leaves(second)):
    if not np.array_equal(one, other, equal_nan=True):
      return wrong("another result in the second call")
  return passed("two calls agree bit by bit")


def compiled(s: Subject) -> Finding:
  """A compiled step computes what the same step computes without."""
  for step in RUN[:2]:
    args = s.x, s.variables[0], at(step)
    if name := _differ(s.step(*args), s.differentiated(*args)):
      return wrong(f"{name} differs under `jax.jit` (step {step})")
  return passed("`jax.jit` changes nothing")


def mapped(s: Subject) -> Finding:
  """A mapped axis is a loop."""
  xs = jnp.stack([s.x, s.x[::-1] / 2])
  params, progress = s.variables[0], at(0)
  step = jax.jit(jax.vmap(s.differentiated, (0, None, None)))
  loop = [s.step(x, params, progress) for x in xs]
  wanted = jax.tree.map(lambda *parts: jnp.stack(parts), *loop)
  if name := _differ(step(xs, params, progress), wanted):
    return wrong(f"{name} differs under `jax.vmap`")
  return passed("`jax.vmap` equals a loop")


def retrace(s: Subject) -> Finding:
  """One program serves the whole run."""
  for check in (_traced_hyper, _traced_progress, _same_program, _compiles):
    if found := check(s):
      return wrong(found)
  return passed("one program for all steps")


def _traced_hyper(s: Subject) -> str | None:
  """Floating-point hyper-parameters may be traced, as schedules do."""
  if s.made.is_float:
    return None
  hp = s.estimator.hyper(**s.hyper())
  floats = {k: jnp.float32(v) for k, v in hp.items() if isinstance(v, float)}

  def grad(x, own):
    call = lambda x: jnp.sum(  # noqa: E731
      s.estimator(x, params=s.variables[0], **{**hp, **own})
    )
    return jax.grad(call)(x)

  for name, value in floats.items():
    try:
      jax.eval_shape(grad, s.x, {name: value})
    except NOT_TRACEABLE:
      return f"reads `{name}` as a Python number: a schedule would recompile"
  return None


def _traced_progress(s: Subject) -> str | None:
  try:
    jax.eval_shape(s.differentiated, s.x, s.variables[0], at(0))
  except NOT_TRACEABLE:
    return "reads a traced array as a Python number"
  return None


def _program(s: Subject) -> tuple[str, list[Any]]:
  """A training step as jax reads it; a new function, or jax reads it once."""
  made = jax.make_jaxpr(lambda *args: s.differentiated(*args))(
    s.x, s.variables[0], at(0)
  )
  return _ADDRESS.sub("", str(made.jaxpr)), made.consts


def _same_program(s: Subject) -> str | None:
  (text, consts), (again, others) = _program(s), _program(s)
  same = len(consts) == len(others) and all(map(np.array_equal, consts, others))
  if text != again or not same:
    return (
      "every trace gives another program: it depends on the state of Python"
      " (a counter, a step, NumPy's random numbers)"
    )
  return None


def _compiles(s: Subject) -> str | None:
  """Whether a call compiles again what an equal call has compiled."""
  count = 0

  def listen(event, duration, **_):
    nonlocal count
    del duration
    count += event == COMPILED

  def call():
    s.dequantized(s.x)
    s.differentiated(s.x, s.variables[0], at(0))

  call()
  jax.monitoring.register_event_duration_secs_listener(listen)
  try:
    call()
  finally:
    jax.monitoring.unregister_event_duration_listener(listen)
  return f"an equal call compiles {count} programs again" if count else None


def schedule(s: Subject) -> Finding:
  """A schedule changes the output or the gradient."""
  if not s.made.annealed:
    return skipped("no hyper-parameter follows a schedule")
  params = s.variables[0]
  first, *_, last = (s.step(s.x, params, at(step)) for step in RUN)
  deployed = s.dequantized(s.x)
  same = _differ(first, last) is None and np.allclose(last[0], deployed)
  if same:
    return wrong("start, end and deployed network agree: it changes nothing")
  return passed("start and end differ")


@contextlib.contextmanager
def _young_garbage() -> Iterator[None]:
  """Collects the garbage of this block alone: of all objects it takes long."""
  mine = gc.get_freeze_count() == 0
  if mine:
    gc.freeze()
  try:
    yield
  finally:
    if mine:
      gc.unfreeze()


def leak(s: Subject) -> Finding:
  """No traced array is kept beyond its trace, or comes from another one."""
  args = s.x, s.variables[0], at(0)
  try:
    s.differentiated(*args)
    with _young_garbage(), jax.checking_leaks():
      jax.make_jaxpr(lambda *args: s.differentiated(*args))(*args)
  except jax.errors.UnexpectedTracerError:
    return wrong("uses a traced array of another call")
  except Exception as error:
    if not str(error).startswith("Leaked"):
      raise
    return wrong("keeps a traced array beyond its trace")
  return passed("nothing is kept")
