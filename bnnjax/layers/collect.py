"""Collects statistics of the inputs of a model's contractions.

The path of a layer names its input: `blocks.0.up` is the input of that `Linear`
or `Conv`, before its binarizer. The products of attention contract two
activations: `attention.low_query`, `low_key`, `low_value` and `low_probs` are
their operands, float or not, before they are binarized. `words` is the tensor
that a head multiplies with the word embedding. The inside of recurrences and
the low-rank estimate of BiPFT cannot be collected.

The layers of a `Stack` share one path; their states are `[layers, ...]`.
"""

import contextlib
import dataclasses
import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx

from bnnjax import errors
from bnnjax.core import collector as collector_lib
from bnnjax.core.collector import Collector
from bnnjax.core.progress import Mode, Progress
from bnnjax.layers.binarize import Binarize
from bnnjax.layers.collection_point import Collected, CollectionPoint
from bnnjax.layers.stack import Stack

Rules = Mapping[str, "str | Collector | None"]
Call = Callable[..., Any]
SHOWN = 12  # paths in a message


def _call(model, *args, **kwargs):
  return model(*args, **kwargs)


def collect(
  model: nnx.Module,
  rules: Rules,
  *args: Any,
  states: dict[str, Any] | None = None,
  call: Call = _call,
  **kwargs: Any,
) -> tuple[Any, dict[str, Any]]:
  """Calls a model while collectors observe the inputs of its layers.

  The model, including its statistics, is left unchanged. A layer that is called
  twice has two inputs collected. Under `jax.jit`, the memory is that of the
  call and of the states, which may be donated.

  Args:
    model: a model, one of its blocks, or a layer.
    rules: maps a regular expression on the whole dotted path (that of the model
      itself is `""`) to a collector, its name, or `None` for nothing. The first
      match wins.
    *args, **kwargs: of the call.
    states: collected by earlier passes; by default there were none.
    call: `(model, *args, **kwargs) -> y`, by default the model's own.

  Returns:
    The result of the call, and states by path.

  Raises:
    ValueError: a rule matches nothing; a chosen layer is not called, or does
      not have what its collector needs; the states have other paths.
    TypeError: `rules` is not a mapping.

  Example:
    >>> rules = {r"blocks.*\\.(gate|up)": "gram"}
    >>> states = empty(model, rules, batches[0])
    >>> step = nnx.jit(
    ...   lambda model, states, x: collect(model, rules, x, states=states)[1],
    ...   donate_argnums=1,
    ... )
    >>> for batch in batches:
    ...   states = step(model, states, batch)
  """
  if states is None:
    states = empty(model, rules, *args, call=call, **kwargs)
  model = nnx.clone(model)  # shares the arrays
  found = _chosen(model, rules)
  if other := sorted(found.keys() ^ states.keys()):
    raise ValueError(
      "`states` are those of the paths that the rules choose, as `empty` makes"
      f" them: {other[0]!r} is {'not ' if other[0] in found else ''}among them."
    )
  for path, (point, made) in found.items():
    point.collected = Collected(states[path], collector=made)
  y = call(model, *args, **kwargs)
  return y, {
    path: point.collected.get_value() for path, (point, _) in found.items()
  }


def empty(
  model: nnx.Module, rules: Rules, *args: Any, call: Call = _call, **kwargs: Any
) -> dict[str, Any]:
  """The states before the first pass; arguments and errors as in `collect`.

  The call is traced for its shapes, not computed.
  """
  shapes: dict[str, tuple[int, ...]] = {}

  def trace():
    copy = nnx.clone(model)
    for path, (point, made) in _chosen(copy, rules).items():
      noting = dataclasses.replace(made, update=_noting(shapes, path))
      point.collected = Collected((), collector=noting)
    call(copy, *args, **kwargs)

  jax.eval_shape(trace)
  axes, states = _axes(model), {}
  for path, (_, made) in _chosen(model, rules).items():
    if path not in shapes:
      raise ValueError(
        f"The call does not reach {path!r}, whose input was to be collected:"
        f" leave it out by a rule before the others, {{{path!r}: None, ...}}."
      )
    states[path] = _stacked(made.init(shapes[path]), axes[path])
  return states


@contextlib.contextmanager
def learning(
  model: nnx.Module, event: str, progress: Progress | None = None
) -> Iterator[Mode]:
  """A pass in which binarizers learn from their inputs, in place.

  Each binarizer uses what it has learned at once, so that later layers see the
  inputs that they will have after the event.

  Args:
    model: any module.
    event: name of the loop event, see `core.transform.Transform.data_events`.
    progress: of the run, if there is one.

  Yields:
    The mode of the pass.
  """
  axes, learners = _axes(model), []
  try:
    for path, module in nnx.iter_modules(model):
      if isinstance(module, Binarize):
        along = _stacked(progress, axes[_dotted(path)])
        learner = module.learner(event, along)
        if learner is not None:
          module.collected = learner
          learners.append(module)
    yield Mode.training(progress)
    for module in learners:
      module.store_learned()
  finally:
    for module in learners:
      del module.collected


def _dotted(path: tuple[Any, ...]) -> str:
  return ".".join(map(str, path))


def _noting(shapes, path):
  """An `update` that notes the shape of its input."""

  def update(state, x):
    shapes.setdefault(path, x.shape)
    return state

  return update


def _axes(model: nnx.Module) -> dict[str, tuple[int, ...]]:
  """The stacked axes of each module by path; () outside of a `Stack`.

  A stack of 3 layers gives `{"": (), "layer": (3,), "layer.linear": (3,)}`.
  """
  modules = dict(nnx.iter_modules(model))
  stacks = [p for p, m in modules.items() if isinstance(m, Stack)]
  stacks.sort(key=len)  # the axis of the outer stack comes first
  return {
    _dotted(path): tuple(
      modules[stack].layers
      for stack in stacks
      if path[: len(stack) + 1] == (*stack, "layer")
    )
    for path in modules
  }


def _stacked(state: Any, axes: tuple[int, ...]) -> Any:
  """The same state for every layer of a stack."""
  return jax.tree.map(lambda s: jnp.broadcast_to(s, (*axes, *s.shape)), state)


def _points(model: nnx.Module) -> dict[str, CollectionPoint]:
  """Collection points by path; a layer stands for its own binarizer."""
  found = {
    path: module
    for path, module in nnx.iter_modules(model)
    if isinstance(module, CollectionPoint)
    and getattr(module, "role", "act") == "act"
  }
  return {
    _dotted(path): module
    for path, module in found.items()
    if not path or path[:-1] not in found
  }


def _chosen(
  model: nnx.Module, rules: Rules
) -> dict[str, tuple[CollectionPoint, Collector]]:
  """The collection points that the rules choose, with collectors, by path."""
  if not isinstance(rules, Mapping):
    raise TypeError(
      "`rules` map regular expressions on paths to collectors, e.g."
      f" {{'blocks.*': 'gram'}}, got {rules!r}."
    )
  points, found, taken = _points(model), {}, set()
  for pattern, spec in rules.items():
    made = collector_lib.parse(spec)
    fits = [path for path in points if _fits(pattern, path)]
    left = [path for path in fits if path not in taken]
    if not left:
      raise ValueError(
        f"The rule {pattern!r} chooses no input: "
        + ("earlier rules do." if fits else _offered(pattern, points))
      )
    taken |= set(left)
    for path in left if made is not None else ():
      if made.rows and (why := points[path].why_no_rows):
        raise ValueError(
          f"{made.name!r} collects the rows that a kernel is multiplied with,"
          f" and {path!r} has none: {why}. Leave it out by a rule before the"
          f" others, {{{path!r}: None, ...}}."
        )
      found[path] = points[path], made
  return found


def _fits(pattern: str, path: str) -> bool:
  try:
    return re.fullmatch(pattern, path) is not None
  except (re.error, TypeError) as error:
    raise ValueError(
      f"A rule is keyed by a regular expression, got {pattern!r}: {error}."
    ) from error


def _offered(pattern: str, paths: Mapping[str, Any]) -> str:
  """For a message: the nearest path, and some of the others."""
  some = ", ".join(map(repr, [*paths][:SHOWN])) or "(none)"
  more = ", ..." if len(paths) > SHOWN else ""
  close = errors.nearest(pattern.replace("\\", ""), paths)
  return f"it has to fit a whole path.{close} Paths: {some}{more}."
