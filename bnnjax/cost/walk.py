"""Abstract interpretation of a jaxpr: every contraction, its widths, its place.

Rules for sub-programs: jit, vmap, remat, custom_jvp, custom_vjp, closed_call by
recursion; scan, while, cond and shard_map in `control`. Nothing is executed and
nothing is allocated.
"""

import dataclasses
import math
from collections.abc import Mapping, Sequence
from fractions import Fraction
from typing import Any

from jax.extend.core import Literal

from bnnjax.core.bits import stored_p, tag_p
from bnnjax.core.counted import counted_p
from bnnjax.core.numerics import pass_nan_p
from bnnjax.cost import (
  axes,
  constants,
  contract,
  control,
  joining,
  moves,
  program,
  recurrence,
  rules,
  selection,
  storage,
  words,
  work,
)
from bnnjax.cost._private_params import opened
from bnnjax.cost.live import Mask, Planner
from bnnjax.cost.memory import Liveness
from bnnjax.cost.rows import Computed, Row, Use
from bnnjax.cost.values import Value, constant, plain, replace


class Walker:
  """Walks jaxprs and writes down what they cost.

  `rows`, `uses`, `scales`, `work`, `warnings`, `notes` are lists in program
  order, so that a trial walk (fixpoints, branches) can be cut off again.

  Args:
    parameters: path and element count of each parameter, by its index.
    words: bits of the integers of those that may hold packed bits.
    holds: weights in a word of those that say so.
  """

  def __init__(
    self,
    parameters: Sequence[tuple[str, int]] = (),
    words: Mapping[int, int] | None = None,
    holds: Mapping[int, Fraction] | None = None,
  ):
    self.parameters = list(parameters)
    self.words, self.holds = dict(words or {}), dict(holds or {})
    self.rows: list[Row] = []
    self.uses: list[Use] = []
    self.scales: list[Computed] = []
    self.work: list[tuple[str, str, int]] = []
    self.warnings: list[tuple[str, str]] = []  # (place, text)
    self.notes: list[tuple[str, str]] = []
    self.times = 1
    self.plan = Planner()

  def _lists(self) -> tuple[list, ...]:
    found = self.rows, self.uses, self.scales
    return *found, self.work, self.warnings, self.notes

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
    self,
    jaxpr: Any,
    ins: Sequence[Value],
    scope: str,
    wanted: Sequence[bool] | None = None,
    owned: Sequence[bool] = (),
  ) -> tuple[list[Value], tuple[int, int]]:
    """Interprets one (possibly closed) jaxpr, dead code left out.

    Args:
      jaxpr: what runs.
      ins: the values of its inputs.
      scope: path of the named scopes around it.
      wanted: which of its results are read; `None`: all.
      owned: which of its inputs die inside; the caller keeps the others.

    Returns:
      The values of its results (a plain one for those that nobody reads), and
      the peak of live bits inside it beyond its inputs: `(at the widths of the
      dtypes, at deployed widths)`.
    """
    jaxpr, consts = opened(jaxpr)
    wanted = (True,) * len(jaxpr.outvars) if wanted is None else tuple(wanted)
    plan = self.plan(jaxpr, wanted)
    env: dict[Any, Value] = {}
    for v, x in zip(jaxpr.constvars, consts):
      env[v] = constant(x)
    for v in jaxpr.constvars[len(consts) :]:
      env[v] = plain(v.aval.shape)
    env.update(zip(jaxpr.invars, ins))
    held = [v for v, mine in zip(jaxpr.invars, owned) if mine]
    live = Liveness(plan, env, [v for v in held if v in plan.invars])

    def read(v: Any) -> Value:
      if isinstance(v, Literal):
        return constant(v.val)
      # Dead code made no value, and a call may still name it as an operand.
      return env[v] if v in env else plain(getattr(v.aval, "shape", ()))

    for eqn, needed in zip(plan.eqns, plan.wanted):
      inside = (0, 0)
      here = program.join_scopes(scope, program.scope_of(eqn))
      ins = [read(v) for v in eqn.invars]
      outs = self._equation(eqn, ins, here, needed, live.dying())
      if isinstance(outs, tuple):
        outs, inside = outs
      elif len(outs) == 1:
        outs = [replace(outs[0], made=constants.made(eqn, ins))]
      if any(v.static and not v.number for v in outs):
        outs = program.numbered(eqn, ins, outs)
      env.update(zip(eqn.outvars, outs))
      live.step(eqn, env, inside)
    return [read(v) for v in jaxpr.outvars], live.peak

  def _equation(
    self,
    eqn: Any,
    ins: list[Value],
    scope: str,
    wanted: Mask,
    dying: dict[Any, tuple[int, int]],
  ) -> Any:
    """Results of one equation, with the peak inside it where it has one."""
    name = eqn.primitive.name
    if eqn.primitive is tag_p:
      return [rules.tagged(eqn, ins[0])]
    if eqn.primitive is pass_nan_p:
      return [ins[0]]
    if eqn.primitive is stored_p:
      self.scales.extend(storage.computed(eqn, *ins))
      return [ins[0]]
    if eqn.primitive is counted_p:
      return recurrence.declared(self, eqn, ins, scope)
    if name in ("dot_general", "conv_general_dilated"):
      return self._contraction(eqn, ins, scope)
    if name in control.HANDLERS:
      return control.HANDLERS[name](self, eqn, ins, scope, wanted)
    body = program.body(eqn)
    if body is not None:
      return self._call(body, eqn, ins, scope, wanted, dying)
    return self._plain_equation(eqn, ins, scope)

  def _call(self, body, eqn, ins, scope, wanted, dying) -> Any:
    """A call of a sub-program, into which the dying operands are given."""
    reads = self.plan(body, wanted).reads
    owned, freed = [], [0, 0]
    for v, is_read in zip(eqn.invars, reads):
      mine = is_read and not isinstance(v, Literal) and v in dying
      owned.append(mine)
      for k, bits in enumerate(dying.pop(v) if mine else ()):
        freed[k] += bits
    outs, peak = self.walk(body, ins, scope, wanted, owned)
    return outs, tuple(p - f for p, f in zip(peak, freed))

  def _plain_equation(self, eqn: Any, ins: list[Value], scope: str) -> Any:
    """Results of an equation without a sub-program and without MACs."""
    name = eqn.primitive.name
    shape = getattr(eqn.outvars[0].aval, "shape", ()) if eqn.outvars else ()
    self.work.extend(work.count(eqn, ins, scope, self.times))
    if name in axes.KEEP:
      return [moves.moved(self, eqn, ins)]
    if name in ("split", "unstack"):
      return [moves.part(eqn, ins[0], v.aval.shape) for v in eqn.outvars]
    if name in ("optimization_barrier", "device_put"):
      return ins
    if name == "select_n":
      return [joining.select(ins, shape)]
    if name in ("concatenate", "stack"):
      return [joining.concatenate(eqn, ins)]
    if name == "pad":
      return [joining.pad(eqn, ins)]
    if name == "population_count":
      return [words.population_count(self, eqn, ins[0], scope)]
    if name in words.BITWISE and words.is_words(eqn.outvars[0]):
      return [words.bitwise(eqn, ins)]
    if name in work.ELEMENTWISE:
      out = rules.elementwise(name, ins, shape)
      return [work.mark_affine(name, ins, out, scope)]
    if name == "dynamic_update_slice":
      return [joining.select([plain(()), *ins[:2]], shape)]
    if remark := program.unseen(eqn, work.KNOWN):
      self.warn(scope, remark)
    outs = [rules.unknown(v.aval, name, ins) for v in eqn.outvars]
    if name == "bitcast_convert_type":
      outs[0] = replace(outs[0], words=words.recast(eqn, ins[0]))
    if name == "reduce_sum" and ins[0].words and ins[0].words.row:
      outs[0] = words.summed(self, eqn, ins[0], outs[0])
    return outs

  def use(self, v: Value, shape, dtype, kind: str, row) -> tuple[str, ...]:
    """Notes how the parameters behind an operand are stored."""
    size, row = math.prod(shape), math.prod(row) or 1
    masks = tuple(sorted(s.exact for s in v.sites if s.mask))
    names = []
    for i, n in v.lineage if v.static else ():
      path, whole = self.parameters[i]
      told = n != size and n * self.holds.get(i, 0) == size
      if n == size or told:
        mine, others = storage.split_sites(v, i)
        role = "mask" if storage.is_mask(mine, others) else kind
        if v.role == "shift":  # float, whatever its tag says of its width
          role, mine = v.role, ()
        if told:  # the bits of a word
          mine = tuple(
            dataclasses.replace(s, bits=s.bits * size / n) for s in mine
          )
        held = size * whole // n if told else 0
        use = Use(i, role, mine, row, bool(masks), held, masks)
      elif storage.holds(self.words.get(i, 0), n, size, v.terms):
        sites = storage.packed(i, self.words[i])
        use = Use(i, kind, sites, row=0, held=size * whole // n)
      else:
        continue
      self.uses.append(use)
      names.append(path)
    return tuple(names)

  def _contraction(self, eqn, ins, scope) -> list[Value]:
    is_dot = eqn.primitive.name == "dot_general"
    out = eqn.outvars[0].aval.shape
    if is_dot and words.is_sum(ins):
      return [plain(out)]
    if not is_dot and (picked := selection.conv(eqn, ins)) is not None:
      return [picked]
    what = contract.dot(eqn) if is_dot else contract.conv(eqn)
    side = contract.weight_side(ins)
    sides = contract.operands(eqn, ins, what, side)
    avals = [v.aval for v in eqn.invars[:2]]
    names: tuple[str, ...] = ()
    for i, (v, aval) in enumerate(zip(ins, avals)):
      row = (what.row(i, v),)
      names += self.use(v, aval.shape, aval.dtype, "kernel", row)
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
          f" {contract.alphabet(v)} ternary; counted at"
          f" {v.terms[0].bits} bit all the same.",
        )
    self._write(
      eqn, what, sides[side].terms, sides[1 - side].terms, names, scope, place
    )
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
