"""`count`: the entry point."""

from collections.abc import Callable, Sequence
from typing import Any

from bnnjax.cost import storage
from bnnjax.cost.report import Report
from bnnjax.cost.trace import trace
from bnnjax.cost.values import plain
from bnnjax.cost.walk import Walker


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
    params: positions of the arguments that hold parameters. Without it they
      are found in modules: every `nnx.Variable` of one, or of a state, that is
      no random state, cache or intermediate; the variables of Linen
      (`{"params": ..., "batch_stats": ...}`); pytrees that can be called
      (Equinox).
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
  walker = Walker(
    [(s.path, s.size) for s in traced.stored],
    {i: s.dtype_bits for i, s in enumerate(traced.stored) if s.words},
    {i: s.holds for i, s in enumerate(traced.stored) if s.holds},
  )
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
  _, peak = walker.walk(traced.jaxpr, inputs, "", owned=[True] * len(inputs))
  notes = _gathered([*traced.notes, *walker.notes])
  if traced.captured:
    notes.append(
      f"{traced.captured:,} bytes of arrays are closed over; they are not"
      " counted as parameters. Pass them (or the module) as arguments."
    )
  elif not traced.stored and any(
    not r.declared and not r.replaced for r in walker.rows
  ):
    notes.append(
      "no argument is known to hold parameters: their number and the weight"
      " bytes are unknown, not 0. Pass a module, or name the arguments that hold"
      " them by position (`params=`)."
    )
  return Report(
    name=traced.name,
    rows=tuple(r for r in walker.rows if not r.replaced),
    replaced=tuple(r for r in walker.rows if r.replaced),
    parameters=storage.parameters(traced.stored, walker.uses, walker.scales),
    work=tuple(walker.work),
    activation_bits=peak,
    warnings=[*traced.warnings, *_gathered(walker.warnings)],
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
