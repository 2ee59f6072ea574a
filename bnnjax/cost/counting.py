"""`count`: the entry point."""

import re
from collections.abc import Callable, Sequence
from fractions import Fraction
from typing import Any

from bnnjax.cost.report import Report
from bnnjax.cost.rows import Parameter, Use
from bnnjax.cost.trace import Stored, Traced, trace
from bnnjax.cost.values import plain
from bnnjax.cost.walk import Walker

_BIAS = re.compile(r"^(b|bias|.*_bias)$")
_BN_PATH = re.compile(r"(^|[._])(bn|batch_?norm)\d*($|[._])", re.IGNORECASE)
_BN_STAT = frozenset(("mean", "var", "running_mean", "running_var"))


def count(
  fn: Callable, *args: Any, params: int | Sequence[int] = (), **kwargs: Any
) -> Report:
  """Counts what a function or an `nnx.Module` costs, without running it.

  Arrays, `jax.ShapeDtypeStruct`s and pytrees of them are traced; Python
  numbers, strings and `None` are passed on as they are. A module may be
  abstract (`nnx.eval_shape`); methods (`model.encode`) and modules among the
  arguments (`count(loss, model, batch)`) are fine too. Put a module into the
  mode that is deployed before counting it.

  Args:
    fn: the function, module or bound method.
    *args: its arguments.
    params: positions of the arguments that hold parameters; the `nnx.Param`s
      of modules always are parameters.
    **kwargs: its keyword arguments.

  Raises:
    TypeError: `fn` cannot be called.
    ValueError: it does not trace, or `params` is no position.

  Example:
    >>> x = jax.ShapeDtypeStruct((2, 3), jnp.float32)
    >>> count(lambda x, w: x @ w, x, jax.ShapeDtypeStruct((3, 4), x.dtype)).macs
    {(32, 32): 24}
  """
  traced = trace(fn, args, kwargs, params)
  walker = Walker([(s.path, s.size) for s in traced.stored])
  inputs = []
  for v, kind in zip(traced.jaxpr.jaxpr.invars, traced.inputs):
    lineage = ()
    if not isinstance(kind, bool):
      lineage = ((kind, traced.stored[kind].size),)
    static = kind is not False
    number = hash(("input", len(inputs))) if static else 0
    inputs.append(
      plain(v.aval.shape, static=static, lineage=lineage, number=number)
    )
  _, peak = walker.walk(traced.jaxpr, inputs, "", top=True)
  notes = _gathered(walker.notes)
  if traced.captured and not traced.stored:
    notes.append(
      f"{traced.captured:,} bytes of arrays are closed over; they are not"
      " counted as parameters. Pass them (or the module) as arguments."
    )
  return Report(
    name=traced.name,
    rows=tuple(r for r in walker.rows if not r.replaced),
    replaced=tuple(r for r in walker.rows if r.replaced),
    parameters=_parameters(traced, walker.uses),
    work=tuple(walker.work),
    activation_bits=peak,
    warnings=_gathered(walker.warnings),
    notes=notes,
  )


def _gathered(remarks: Sequence[tuple[str, str]]) -> list[str]:
  """Equal remarks on one line, with the first places they apply to."""
  places: dict[str, dict[str, None]] = {}
  for place, text in remarks:
    places.setdefault(text, {})[place or "(top)"] = None
  out = []
  for text, where in places.items():
    names = list(where)
    more = f" and {len(names) - 3} more" if len(names) > 3 else ""
    out.append(f"{', '.join(names[:3])}{more}: {text}")
  return out


def _parameters(traced: Traced, uses: Sequence[Use]) -> tuple[Parameter, ...]:
  """Roles and widths, from where the parameters were read."""
  found: dict[int, list[Use]] = {}
  for use in uses:
    found.setdefault(use.parameter, []).append(use)
  stored = traced.stored
  kernels = {_module(s) for i, s in enumerate(stored) if i in found}
  norms = {_module(s) for s in stored if not s.trained}
  norms |= {_module(s) for s in stored if s.path.split(".")[-1] in _BN_STAT}
  out = []
  for i, s in enumerate(stored):
    mine = found.get(i, [])
    kinds = {u.kind for u in mine}
    role = _role(s, kinds, kernels, norms)
    row = next((u.row for u in mine if u.kind == role), 0)
    tagged = bool(mine) and all(u.sites for u in mine)
    sites = {site for u in mine for site in u.sites} if tagged else ()
    bits = sum((bits for _, bits in sites), Fraction(0)) or s.dtype_bits
    sparse = any(bits.denominator > 1 for _, bits in sites)
    out.append(
      Parameter(
        path=s.path,
        shape=s.shape,
        dtype_bits=s.dtype_bits,
        role=role,
        bits=int(bits) if bits == int(bits) else bits,
        row=row,
        tagged=tagged,
        trained=s.trained,
        sparse=sparse,
      )
    )
  return tuple(out)


def _module(s: Stored) -> str:
  return s.path.rpartition(".")[0]


def _role(
  s: Stored, kinds: set[str], kernels: set[str], norms: set[str]
) -> str:
  if "kernel" in kinds:
    return "kernel"
  if "embedding" in kinds:
    return "embedding"
  name = s.path.rpartition(".")[2]
  if _module(s) in norms or _BN_PATH.search(s.path):
    is_stat = not s.trained or name in _BN_STAT
    return "bn_stat" if is_stat else "bn"
  if _BIAS.match(name) and _module(s) in kernels:
    return "bias"
  return "other"
