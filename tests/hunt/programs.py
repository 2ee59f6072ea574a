"""Random small programs for `count`, with their pairs enumerated in Python."""

import dataclasses
import itertools
import json
import math
import random
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

import bnnjax as bx
from bnnjax.cost import sizes
from bnnjax.cost.energy import TABLES

WRONG = (None, True, -1, 1.5, "x", "", (), [1], {}, 1j, b"x", len, object(),
         10**30, ("a",), {1})  # fmt: skip


@dataclasses.dataclass(frozen=True)
class Case:
  """A program, its arguments, and its MACs by `(w_bits, a_bits)`.

  Attributes:
    text: what it is, for the report of a fault.
    fn, args: of `count`.
    macs: by enumeration; `None` where a refusal is expected.
    more: keyword arguments of `count`.
    method: a method of the report, and its arguments.
  """

  text: str
  fn: Any
  args: tuple[Any, ...]
  macs: dict[tuple[int, int], int] | None
  more: tuple[tuple[str, Any], ...] = ()
  method: tuple[Any, ...] = ()

  def __str__(self):
    return f"count of {self.text} {dict(self.more)} {self.method}"[:400]


def draw(r: random.Random) -> Case:
  """A random program; one time in three something about it is wrong."""
  case = r.choice(PROGRAMS)(r)
  roll = r.random()
  if roll < 0.15:
    return _broken(r, case)
  if roll < 0.25:
    more = (("params", r.choice(WRONG)),)
    return dataclasses.replace(case, more=more, macs=None)
  if roll < 0.5:
    return dataclasses.replace(case, method=_question(r))
  return case


def build(case: Case) -> bx.cost.Report:
  """The report, and what is asked of it; both may be refused."""
  report = bx.count(case.fn, *case.args, **dict(case.more))
  if case.method:
    name, *given = case.method
    _finite(getattr(report, name)(*given))
  return report


def use(case: Case, report) -> None:
  """Compares with the enumeration; other figures must be consistent."""
  macs = {k: n for k, n in report.macs.items() if n}
  if case.macs is not None:
    want = {k: n for k, n in case.macs.items() if n}
    assert macs == want, f"{macs}, enumerated {want}"
  assert report.total_macs == sum(macs.values())
  ace = sum(min(w, 16) * min(a, 16) * n for (w, a), n in macs.items())
  assert report.ace == ace, "ACE"
  assert report.bops + report.flops == report.total_macs, "BOPs"
  assert json.loads(json.dumps(report.to_json(rows=True)))["ace"] == ace
  assert report.activation_bytes(True) <= report.activation_bytes()


def _finite(answer: Any) -> None:
  if isinstance(answer, int | float):
    assert np.isfinite(answer), f"not finite: {answer}"
    assert answer >= 0, f"negative: {answer}"


def _question(r: random.Random) -> tuple[Any, ...]:
  """A method of the report with an argument, right or wrong."""
  right = {
    "table": ("rich", "markdown", "csv"),
    "weight_bytes": tuple(sizes.CONVENTIONS),
    "energy": tuple(TABLES),
    "cpu64": ("max", "product"),
    "weight_bits": ("packed", "deployed"),
    "scalar_operations": ("bn",),
  }
  name = r.choice(tuple(right))
  # A function is a rule for cpu64.
  wrong = [w for w in WRONG if name != "cpu64" or not callable(w)]
  return name, r.choice(right[name] if r.random() < 0.6 else wrong)


def _broken(r: random.Random, case: Case) -> Case:
  """The case with an argument or the function replaced."""
  roll = r.random()
  if roll < 0.3:
    return dataclasses.replace(
      case, fn=r.choice(WRONG), text="a wrong function", macs=None
    )
  if roll < 0.6:
    args = list(case.args)
    args[r.randrange(len(args))] = r.choice(WRONG)
    return dataclasses.replace(
      case, args=tuple(args), text=case.text + " wrong argument", macs=None
    )
  if roll < 0.7:
    return dataclasses.replace(case, args=case.args[:-1], macs=None)

  def key_error(*args):
    return {}["nothing"]

  def branch(x, *args):
    return x if x.sum() > 0 else -x

  def masked(x, *args):
    return x[x > 0]

  def to_numpy(x, *args):
    return np.asarray(x)

  def integer(x, *args):
    return jnp.zeros(int(x.sum()))

  def nothing(*args):
    return None

  def strings(*args):
    return "a", 3

  def endless(*args):
    return endless(*args)

  fn = r.choice((key_error, branch, masked, to_numpy, integer, nothing,
                 strings, endless))  # fmt: skip
  return dataclasses.replace(case, fn=fn, text=fn.__name__, macs=None)


def _shape(*size) -> jax.ShapeDtypeStruct:
  return jax.ShapeDtypeStruct(size, jnp.float32)


def _low(r: random.Random):
  """Widths of right and left operand, and what tags them."""
  w, a = r.choice(((32, 32), (1, 1), (1, 32), (4, 8), (2, 2), (32, 8)))

  def tagged(x, bits, role):
    return x if bits == 32 else bx.tag(x, bits, role=role)

  return (w, a), lambda x, y: (tagged(x, a, "act"), tagged(y, w, "weight"))


def _einsum(r: random.Random) -> Case:
  """Every index of the equation is one loop of the enumeration."""
  equation = r.choice(("ik,kj->ij", "bik,kj->bij", "bik,bjk->bij", "i,i->",
                       "bthd,bshd->bhts", "ki,kj->ij", "abk,kc->cab",
                       "gbk,gkc->bgc"))  # fmt: skip
  size = {c: r.randint(1, 5) for c in "abcdghijkst"}
  left, right = equation.split("->")[0].split(",")
  key, tags = _low(r)
  pairs = itertools.product(*(range(size[c]) for c in sorted({*left, *right})))
  args = (_shape(*(size[c] for c in left)), _shape(*(size[c] for c in right)))

  def program(x, y):
    return jnp.einsum(equation, *tags(x, y))

  return Case(f"{equation} {args} {key}", program, args,
              {key: sum(1 for _ in pairs)})  # fmt: skip


def _conv(r: random.Random) -> Case:
  """Convolutions whose padding stays below inputs times taps."""
  axes = r.choice((1, 2))
  groups, batch = r.choice((1, 1, 2)), r.randint(1, 2)
  c, o = groups * r.randint(1, 3), groups * r.randint(1, 3)
  spatial = [r.randint(5, 8) for _ in range(axes)]
  window = [r.randint(1, 3) for _ in range(axes)]
  strides = [r.randint(1, 3) for _ in range(axes)]
  dilation = [r.randint(1, 2) for _ in range(axes)]
  padding = r.choice(("SAME", "VALID", [(1, 0)] * axes, [(0, 2)] * axes))
  key, tags = _low(r)
  numbers = {1: ("NWC", "WIO", "NWC"), 2: ("NHWC", "HWIO", "NHWC")}[axes]

  def program(x, y):
    x, y = tags(x, y)
    return lax.conv_general_dilated(
      x, y, strides, padding, rhs_dilation=dilation,
      dimension_numbers=numbers, feature_group_count=groups,
    )  # fmt: skip

  macs = batch * o * (c // groups)
  for n, k, s, d, pads in zip(
    spatial, window, strides, dilation, _pads(padding, spatial, window,
                                              strides, dilation),
  ):  # fmt: skip
    reach = (k - 1) * d + 1
    starts = range(-pads[0], n + pads[1] - reach + 1, s)
    macs *= min(sum(1 for _ in itertools.product(starts, range(k))), n * k)
  args = (_shape(batch, *spatial, c), _shape(*window, c // groups, o))
  return Case(
    f"conv {args} strides {strides} padding {padding} dilation {dilation}"
    f" groups {groups} {key}",
    program, args, {key: macs},
  )  # fmt: skip


def _pads(padding, spatial, window, strides, dilation):
  if padding == "VALID":
    return [(0, 0)] * len(spatial)
  if padding != "SAME":
    return padding
  out = []
  for n, k, s, d in zip(spatial, window, strides, dilation):
    total = max((math.ceil(n / s) - 1) * s + (k - 1) * d + 1 - n, 0)
    out.append((total // 2, total - total // 2))
  return out


def _scan(r: random.Random) -> Case:
  """A dot in every step of a scan, of a map or of a vmap."""
  steps, n = r.randint(1, 6), r.randint(1, 5)
  key, tags = _low(r)
  how = r.choice(("scan", "map", "vmap", "fori"))

  def step(x, y):
    x, y = tags(x, y)
    return x @ y

  def program(x, y):
    if how == "scan":
      return lax.scan(lambda c, z: (jnp.tanh(step(c, y)), z), x[0], x)
    if how == "map":
      return lax.map(lambda z: step(z, y), x)
    if how == "vmap":
      return jax.vmap(step, (0, None))(x, y)
    return lax.fori_loop(0, steps, lambda i, c: jnp.tanh(step(c, y)), x[0])

  args = (_shape(steps, 2, n), _shape(n, n))
  return Case(f"{how} {args} {key}", program, args, {key: steps * 2 * n * n})


def _gradient(r: random.Random) -> Case:
  """Forward and both cotangents: three times the forward's MACs."""
  b, k, o = (r.randint(1, 5) for _ in range(3))

  def program(x, w):
    loss = lambda x, w: jnp.sum(jnp.square(x @ w))  # noqa: E731
    return jax.value_and_grad(loss, (0, 1))(x, w)

  args = (_shape(b, k), _shape(k, o))
  return Case(f"gradient {args}", program, args, {(32, 32): 3 * b * k * o})


def _wrapped(r: random.Random) -> Case:
  """Another program under jit, remat or a custom derivative."""
  case = r.choice((_einsum, _conv, _scan))(r)
  how = r.choice(("jit", "checkpoint", "custom_jvp", "dead", "twice"))
  fn, macs = case.fn, case.macs
  if how == "jit":
    fn = jax.jit(case.fn)
  elif how == "checkpoint":
    fn = jax.checkpoint(case.fn)
  elif how == "custom_jvp":
    fn = jax.custom_jvp(case.fn)
    fn.defjvp(lambda p, t: (case.fn(*p), case.fn(*p)))
  elif how == "dead":

    def fn(*args):
      case.fn(*(x * 2 for x in args))  # nobody reads it
      return case.fn(*args)

  else:
    macs = {k: 2 * n for k, n in macs.items()}

    def fn(*args):
      return case.fn(*args), case.fn(*(x * 2 for x in args))

  return dataclasses.replace(case, fn=fn, macs=macs, text=f"{how} {case.text}")


PROGRAMS: tuple[Callable[[random.Random], Case], ...] = (
  _einsum, _einsum, _conv, _conv, _conv, _scan, _gradient, _wrapped, _wrapped,
)  # fmt: skip
