"""Runs a jaxpr with other contractions in the place of some of its own.

Equations without a kernel run as they are. Scans, loops, branches and
`jax.checkpoint` that hold one are built again around their rewritten bodies, so
that their derivatives are those of the new contractions.
"""

import contextlib
from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
from jax import lax
from jax.extend.core import DebugInfo, Jaxpr, Literal

from bnnjax.convert import kernels as kernels_lib
from bnnjax.convert.kernels import Kernel, Use
from bnnjax.core import equations

Values = list[Any]
Learned = dict[str, Any]  # by path of the kernel
# `(use, left, right, learned)` to the result of the contraction.
Rewrite = Callable[[Use, jax.Array, jax.Array, Any], jax.Array]


class Interpreter:
  """Runs jaxprs.

  Attributes:
    rewrite: computes the contractions that have a kernel.
  """

  def __init__(self, rewrite: Rewrite):
    self.rewrite = rewrite

  def run(
    self,
    jaxpr: Any,
    values: Sequence[Any],
    kernels: Sequence[Kernel | None],
    learned: Learned,
  ) -> Values:
    """Runs a (possibly closed) jaxpr.

    Args:
      jaxpr: the program.
      values: its inputs.
      kernels: which of them are kernels to be rewritten; `None` for the others.
      learned: what `rewrite` gets, for each kernel; sliced where a scan slices
        the kernel.

    Returns:
      Its results.
    """
    jaxpr, consts = equations.opened(jaxpr)
    env = dict(zip(jaxpr.constvars, consts))
    env |= zip(jaxpr.invars, values, strict=True)
    known = kernels_lib.Env(zip(jaxpr.invars, kernels, strict=True))

    def read(v: Any) -> Any:
      if isinstance(v, Literal):
        return jnp.asarray(v.val, v.aval.dtype)
      return env[v]

    for eqn in jaxpr.eqns:
      ins = known.read(eqn.invars)
      outs, uses = kernels_lib.follow_equation(eqn, ins)
      known.update(zip(eqn.outvars, outs, strict=True))
      if uses:
        results = self._rewritten(eqn, [*map(read, eqn.invars)], ins, learned)
      else:
        results = _as_it_is(eqn, env)
      env.update(zip(eqn.outvars, results, strict=True))
    return [read(v) for v in jaxpr.outvars]

  def _rewritten(self, eqn, values, kernels, learned) -> Values:
    scope = equations.scope_of(eqn)
    named = jax.named_scope(scope) if scope else contextlib.nullcontext()
    rule = _RULES.get(eqn.primitive.name)
    if rule is None:
      rule = _remat if kernels_lib.is_remat(eqn) else _inlined
    with named:
      return rule(self, eqn, values, kernels, learned)


def _as_it_is(eqn: Any, env: dict) -> Values:
  """Runs one equation."""
  ins = [*dict.fromkeys(v for v in eqn.invars if not isinstance(v, Literal))]
  info = DebugInfo("binarize_fn", eqn.primitive.name, None, None)
  alone = Jaxpr((), ins, eqn.outvars, [eqn], debug_info=info)
  return jax.core.eval_jaxpr(alone, (), *(env[v] for v in ins))


def _contraction(self, eqn, values, kernels, learned) -> Values:
  _, (use,) = kernels_lib.follow_equation(eqn, kernels)
  return [self.rewrite(use, *values, learned.get(use.kernel.path, {}))]


def _scan(self, eqn, values, kernels, learned) -> Values:
  s = equations.scan(eqn)
  inner = kernels_lib.of_scan_body(eqn, kernels)
  n, m = s.consts, s.consts + s.carry
  fixed, init, xs = values[:n], values[n:m], values[m:]
  stacked = {k.path for k in kernels[m:] if k is not None}
  slices = {path: learned[path] for path in stacked if path in learned}

  def body(carry, x):
    x, mine = x
    outs = self.run(s.body, [*fixed, *carry, *x], inner, {**learned, **mine})
    return outs[: s.carry], outs[s.carry :]

  carry, ys = lax.scan(
    body, init, (xs, slices), s.length, reverse=s.reverse, unroll=s.unroll
  )
  return [*carry, *ys]


def _while(self, eqn, values, kernels, learned) -> Values:
  w = equations.while_(eqn)
  of_cond, of_body = kernels_lib.of_while_parts(eqn, kernels)
  n, m = w.cond_consts, w.cond_consts + w.body_consts
  return lax.while_loop(
    lambda x: self.run(w.cond, [*values[:n], *x], of_cond, learned)[0],
    lambda x: self.run(w.body, [*values[n:m], *x], of_body, learned),
    values[m:],
  )


def _cond(self, eqn, values, kernels, learned) -> Values:
  index, *operands = values

  def rewritten(branch):
    return lambda *xs: self.run(branch, xs, kernels[1:], learned)

  branches = [*map(rewritten, equations.branches(eqn))]
  return lax.switch(index, branches, *operands)


def _remat(self, eqn, values, kernels, learned) -> Values:
  def body(values, learned):
    return self.run(equations.body(eqn), values, kernels, learned)

  options = equations.remat_options(eqn)
  return jax.checkpoint(body, **options)(values, learned)


def _inlined(self, eqn, values, kernels, learned) -> Values:
  """The body of a jit, which an outer jit would inline as well."""
  before, after = equations.shardings(eqn)
  values = [*map(_placed, values, before)]
  outs = self.run(equations.body(eqn), values, kernels, learned)
  return [*map(_placed, outs, after)]


def _placed(x, sharding):
  if sharding is None:
    return x
  return jax.jit(_identity, out_shardings=sharding)(x)


def _identity(x):
  return x


_RULES: dict[str, Callable[..., Values]] = {
  "dot_general": _contraction,
  "conv_general_dilated": _contraction,
  "scan": _scan,
  "while": _while,
  "cond": _cond,
}
