"""`count`: the entry point.

A function is traced, its jaxpr is interpreted, and the ledger of the
interpreter becomes a report.
"""

import itertools
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from bnnjax.cost import storage
from bnnjax.cost.abstract_value import AbstractValue, Source, plain
from bnnjax.cost.interpret import Interpreter
from bnnjax.cost.ledger import Ledger
from bnnjax.cost.report import Report
from bnnjax.cost.trace import Traced, trace
from bnnjax.cost.variables import DATA, Stored


def count(
  fn: Callable, *args: Any, params: int | Sequence[int] = (), **kwargs: Any
) -> Report:
  """Counts what a function or an `nnx.Module` costs, without running it.

  Arrays, `jax.ShapeDtypeStruct`s and pytrees of them are traced; Python
  numbers, strings and `None` pass through unchanged. A module may be abstract
  (`nnx.eval_shape`); methods (`model.encode`) and modules among the arguments
  (`count(loss, model, batch)`) work too. Switch a module to its deployed mode
  before counting it.

  Args:
    fn: the function, module or bound method.
    *args: its arguments.
    params: positions of the arguments that hold parameters. By default,
      parameters are found in modules and states (every `nnx.Variable` except
      random state, caches and intermediates), in variables of Linen
      (`{"params": ..., "batch_stats": ...}`) and in callable pytrees (Equinox).
    **kwargs: its keyword arguments.

  Raises:
    TypeError: `fn` cannot be called.
    ValueError: it does not trace, or `params` is not a position.

  Example:
    >>> x = jax.ShapeDtypeStruct((2, 3), jnp.float32)
    >>> count(lambda x, w: x @ w, x, jax.ShapeDtypeStruct((3, 4), x.dtype)).macs
    {(32, 32): 24}
  """
  return of_trace(trace(fn, args, kwargs, params))


def of_trace(traced: Traced) -> Report:
  """What a traced function costs."""
  interpreter = Interpreter(traced.stored)
  inputs = list(_inputs(traced))
  owned = [True] * len(inputs)
  _, peak = interpreter.interpret(traced.jaxpr, inputs, "", owned=owned)
  ledger = interpreter.ledger
  unseen = _unseen(traced, ledger)
  return Report(
    name=traced.name,
    rows=tuple(r for r in ledger.rows if not r.replaced),
    replaced=tuple(r for r in ledger.rows if r.replaced),
    parameters=storage.parameters(traced.stored, ledger.uses, ledger.scales),
    work=tuple(ledger.work),
    activation_bits=peak,
    warnings=[*traced.warnings, *_gathered(ledger.warnings)],
    notes=_gathered([*traced.notes, *ledger.notes]) + unseen,
    stored_unknown=bool(unseen) and not traced.stored,
  )


def _inputs(traced: Traced) -> Iterator[AbstractValue]:
  """The values of the inputs of the jaxpr."""
  parameters = itertools.count()
  for i, (v, kind) in enumerate(zip(traced.jaxpr.jaxpr.invars, traced.inputs)):
    if kind == DATA:
      yield plain(v.aval.shape)
      continue
    lineage = ()
    if isinstance(kind, Stored):
      lineage = (Source(next(parameters), kind.size),)
    expression_id = hash(("input", i))
    yield plain(
      v.aval.shape, static=True, lineage=lineage, expression_id=expression_id
    )


def _unseen(traced: Traced, ledger: Ledger) -> list[str]:
  """What to say about parameters that the counter cannot see."""
  if traced.captured:
    return [
      f"{traced.captured:,} bytes of arrays are closed over; they are not"
      " counted as parameters. Pass them (or the module) as arguments."
    ]
  if traced.stored or all(r.declared or r.replaced for r in ledger.rows):
    return []
  return [
    "no argument is known to hold parameters: their number and the weight"
    " bytes are unknown, not 0. Pass a module, or name the arguments that hold"
    " them by position (`params=`)."
  ]


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
