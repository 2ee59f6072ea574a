"""Abstract interpretation of a jaxpr: every contraction, its widths, its place.

Rules for sub-programs: jit, vmap, remat, custom_jvp, custom_vjp, closed_call by
recursion; scan, while, cond and shard_map in `control`. Nothing is executed and
nothing is allocated.
"""

import math
from collections.abc import Mapping, Sequence
from typing import Any

from jax.extend.core import Literal

from bnnjax.core.bits import tag_p
from bnnjax.core.counted import counted_p
from bnnjax.cost import (
  axes,
  contract,
  control,
  program,
  recurrence,
  rules,
  storage,
  work,
)
from bnnjax.cost._private_params import opened
from bnnjax.cost.memory import Liveness
from bnnjax.cost.rows import Row, Use
from bnnjax.cost.values import Value, constant, plain, replace


class Walker:
  """Walks jaxprs and writes down what they cost.

  `rows`, `uses`, `work`, `warnings`, `notes` are lists in program order, so
  that a trial walk (fixpoints, branches) can be cut off again.

  Args:
    parameters: path and element count of each parameter, by its index.
    words: bits of the integers of those that may hold packed bits.
  """

  def __init__(
    self,
    parameters: Sequence[tuple[str, int]] = (),
    words: Mapping[int, int] | None = None,
  ):
    self.parameters = list(parameters)
    self.words = dict(words or {})
    self.rows: list[Row] = []
    self.uses: list[Use] = []
    self.work: list[tuple[str, str, int]] = []
    self.warnings: list[tuple[str, str]] = []  # (place, text)
    self.notes: list[tuple[str, str]] = []
    self.times = 1

  def _lists(self) -> tuple[list, ...]:
    return self.rows, self.uses, self.work, self.warnings, self.notes

  def mark(self) -> tuple[int, ...]:
    """A position to which `cut` can return."""
    return tuple(len(x) for x in self._lists())

  def cut(self, mark: tuple[int, ...]) -> tuple[list, ...]:
    """Removes and returns what was written since `mark`."""
    gone = []
    for items, n in zip(self._lists(), mark):
      gone.append(items[n:])
      del items[n:]
    return tuple(gone)

  def restore(self, gone: tuple[list, ...]) -> None:
    """Writes down again what `cut` returned."""
    for items, more in zip(self._lists(), gone):
      items.extend(more)

  def walk(
    self, jaxpr: Any, ins: Sequence[Value], scope: str, top: bool = False
  ) -> tuple[list[Value], tuple[int, int]]:
    """Interprets one (possibly closed) jaxpr.

    Returns:
      The values of its results, and the peak of live bits inside it beyond
      its inputs: `(at the widths of the dtypes, at deployed widths)`.
    """
    jaxpr, consts = opened(jaxpr)
    env: dict[Any, Value] = {}
    for v, x in zip(jaxpr.constvars, consts):
      env[v] = constant(x)
    for v in jaxpr.constvars[len(consts) :]:
      env[v] = plain(v.aval.shape)
    env.update(zip(jaxpr.invars, ins))
    live = Liveness(jaxpr, env, top)

    def read(v: Any) -> Value:
      return constant(v.val) if isinstance(v, Literal) else env[v]

    for eqn in jaxpr.eqns:
      inside = (0, 0)
      here = program.join_scopes(scope, program.scope_of(eqn))
      ins = [read(v) for v in eqn.invars]
      outs = self._equation(eqn, ins, here)
      if isinstance(outs, tuple):
        outs, inside = outs
      if any(v.static and not v.number for v in outs):
        outs = program.numbered(eqn, ins, outs)
      env.update(zip(eqn.outvars, outs))
      live.step(eqn, env, inside)
    return [read(v) for v in jaxpr.outvars], live.peak

  def _equation(self, eqn: Any, ins: list[Value], scope: str) -> Any:
    """Results of one equation, with the peak inside it where it has one."""
    name = eqn.primitive.name
    shape = getattr(eqn.outvars[0].aval, "shape", ()) if eqn.outvars else ()
    if eqn.primitive is tag_p:
      return [rules.tagged(ins[0], eqn.params["terms"], eqn.params["role"])]
    if eqn.primitive is counted_p:
      return recurrence.declared(self, eqn, ins, scope)
    if name in ("dot_general", "conv_general_dilated"):
      return self._contraction(eqn, ins, scope)
    if name in control.HANDLERS:
      return control.HANDLERS[name](self, eqn, ins, scope)
    body = program.body(eqn)
    if body is not None:
      return self.walk(body, ins, scope)
    self.work.extend(work.count(eqn, ins, scope, self.times))
    if name in axes.KEEP:
      return [self._moved(eqn, ins, scope, name)]
    if name in ("split", "unstack"):
      return [self._part(eqn, ins[0], v.aval.shape) for v in eqn.outvars]
    if name in ("optimization_barrier", "device_put"):
      return ins
    if name == "select_n":
      return [rules.select(ins, shape)]
    if name in ("concatenate", "stack"):
      return [rules.concatenate(eqn, ins)]
    if name == "pad":
      return [rules.pad(eqn, ins)]
    if name in work.ELEMENTWISE:
      out = rules.elementwise(name, ins, shape)
      return [work.mark_affine(name, ins, out, scope)]
    if name == "dynamic_update_slice":
      return [rules.select([plain(()), *ins[:2]], shape)]
    self._opaque(eqn, name, scope)
    return [rules.unknown(v.aval, name, ins) for v in eqn.outvars]

  def _opaque(self, eqn: Any, name: str, scope: str) -> None:
    if name in program.HEAVY:
      self.warn(scope, f"`{name}` multiplies, but its work is not counted.")
    elif name in program.HIDDEN:
      self.warn(scope, f"`{name}` runs code that cannot be counted.")
    elif any(program.contracts(j) for j in program.inner(eqn)):
      self.warn(
        scope,
        f"`{name}` holds dot products or convolutions that are not counted.",
      )

  def _moved(self, eqn: Any, ins: list[Value], scope: str, name: str) -> Value:
    old, new = (v.aval.shape for v in (eqn.invars[0], eqn.outvars[0]))
    out = ins[0].moved(axes.KEEP[name](eqn))
    static = all(v.static for v in ins)
    if name in ("gather", "dynamic_slice") and not static and out.static:
      self._use(ins[0], old, eqn.invars[0].aval.dtype, "embedding", old[-1:])
    if name.startswith("reduce_"):
      return replace(out, static=static, lineage=(), affine=None, number=0)
    out = self._cut_lineage(out, old, new)
    return replace(
      out,
      static=static,
      lineage=out.lineage if static else (),
      affine=out.affine if old == new else None,
    )

  def _part(self, eqn: Any, v: Value, new: Sequence[int]) -> Value:
    old = eqn.invars[0].aval.shape
    return self._cut_lineage(v.moved(axes.parts(eqn, new)), old, new)

  def _cut_lineage(self, v: Value, old, new) -> Value:
    """A slice of a parameter stands for a share of its elements."""
    a, b = math.prod(old), math.prod(new)
    if not v.lineage or a == b or b > a:
      return v
    kept = tuple((i, b if n == a else n) for i, n in v.lineage)
    return replace(v, lineage=kept)

  def _use(self, v: Value, shape, dtype, kind: str, row) -> tuple[str, ...]:
    """Notes how the parameters behind an operand are stored."""
    size = math.prod(shape)
    names = []
    for i, n in v.lineage if v.static else ():
      if n == size:
        mine, others = storage.split_sites(v, i)
        role = "mask" if storage.is_mask(mine, others) else kind
        masked = any(s.mask for s in v.sites)
        self.uses.append(Use(i, role, mine, math.prod(row) or 1, masked))
      elif storage.holds(self.words.get(i, 0), n, size, v.terms):
        sites = storage.packed(i, self.words[i])
        self.uses.append(Use(i, kind, sites, row=0, held=size))
      else:
        continue
      names.append(self.parameters[i][0])
    return tuple(names)

  def _contraction(self, eqn, ins, scope) -> list[Value]:
    is_dot = eqn.primitive.name == "dot_general"
    what = contract.dot(eqn) if is_dot else contract.conv(eqn)
    side = contract.weight_side(ins)
    sides = contract.operands(eqn, ins, what, side)
    avals = [v.aval for v in eqn.invars[:2]]
    names: tuple[str, ...] = ()
    for v, aval, k in zip(ins, avals, what.summed):
      names += self._use(v, aval.shape, aval.dtype, "kernel", (k,))
    place = program.place(scope, names)
    for remark in (*sides[0].remarks, *sides[1].remarks):
      self.warn(place, f"{what.op}: {remark}")
    for note in contract.notes(ins, what):
      self.notes.append((place, f"{what.op}: {note}"))
    for i, v in enumerate(ins[:2]):
      conv_zero = not is_dot and i == 0 and contract.zero_padded(eqn)
      missing = v.values is not None and 0.0 not in v.values
      if v.terms and (v.padded or (conv_zero and missing)):
        self.warn(
          place,
          f"{what.op}: zero padding makes an operand over"
          f" {_alphabet(v)} ternary; counted at"
          f" {v.terms[0].bits} bit all the same.",
        )
    self._write(
      eqn, what, sides[side].terms, sides[1 - side].terms, names, scope, place
    )
    out = eqn.outvars[0].aval.shape
    return [plain(out, static=all(v.static for v in ins))]

  def _write(self, eqn, what, weights, acts, names, scope, place) -> None:
    shapes = tuple(tuple(v.aval.shape) for v in (*eqn.invars[:2], *eqn.outvars))
    elements = sum(
      n for path, n in self.parameters if path in names
    )  # the whole parameter, also where a scan slices it
    for j, w in enumerate(weights):
      for k, a in enumerate(acts):
        macs = self.times * contract.multiplied(what.macs, w, a)
        first = not j and not k
        self.rows.append(
          Row(
            path=place,
            scope=scope,
            op=what.op,
            shapes=shapes,
            macs=macs,
            w_bits=w.bits,
            a_bits=a.bits,
            length=what.length,
            times=self.times,
            parameters=names,
            elements=elements if first else 0,
            replaced=recurrence.is_replaced(scope),
          )
        )

  def warn(self, place: str, text: str) -> None:
    """Adds a warning to the report."""
    self.warnings.append((place, text))


def _alphabet(v: Value) -> str:
  symbols = v.terms[0].alphabet or (-1, 1)
  return "{" + ",".join(f"{x:+d}" for x in symbols) + "}"
