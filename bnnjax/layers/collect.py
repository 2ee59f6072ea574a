"""Collectors attached to layers: what enters the contractions of a model.

A path names a layer and means its input: `blocks.0.up` is what enters that
`Linear` or `Conv`, before its binarizer. The products of attention contract two
activations: `attention.low_query`, `low_key`, `low_value` and `low_probs` are
their operands, float or not, before they are binarized. `words` is what a head
multiplies with the word embedding. The inside of recurrences and the low-rank
estimate of BiPFT are no places.

The layers of a `Stack` have one path, and states `[layers, ...]`.
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
  """Calls a model whose layers show their inputs to collectors.

  The model stays as it was: its statistics, too. A layer that is called twice
  shows two inputs. Under `jax.jit`, the memory is that of the call and of the
  states, which may be donated.

  Args:
    model: a model, one of its blocks, or a layer.
    rules: collectors by path: a regular expression that fits the whole dotted
      path (that of the model itself is `""`), and a collector, its name, or
      `None` for nothing. The first that fits wins.
    *args, **kwargs: of the call.
    states: what the passes before have collected; by default there are none.
    call: `(model, *args, **kwargs) -> y`, by default the model's own.

  Returns:
    What the call returns, and states by path.

  Raises:
    ValueError: a rule that chooses nothing, with the nearest path; a layer that
      is chosen and not called, or of which its collector cannot see what it
      asks for; states of other paths.
    TypeError: rules that are no mapping.

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
  for path, (place, made) in found.items():
    place.collected = Collected(states[path], collector=made)
  y = call(model, *args, **kwargs)
  return y, {
    path: place.collected.get_value() for path, (place, _) in found.items()
  }


def empty(
  model: nnx.Module, rules: Rules, *args: Any, call: Call = _call, **kwargs: Any
) -> dict[str, Any]:
  """The states before the first pass; arguments and errors as of `collect`.

  The call is traced for its shapes, not computed.
  """
  shapes: dict[str, tuple[int, ...]] = {}

  def trace():
    copy = nnx.clone(model)
    for path, (place, made) in _chosen(copy, rules).items():
      noting = dataclasses.replace(made, update=_noting(shapes, path))
      place.collected = Collected((), collector=noting)
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
  """A pass in which binarizers learn from what they see, in place.

  Each is at once what it has learned: the layers after it see the inputs that
  the event leaves them.

  Args:
    model: any module.
    event: name of the loop event, see `core.transform.Transform.learns`.
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
  """The `update` of a pass that asks for shapes."""

  def update(state, x):
    shapes.setdefault(path, x.shape)
    return state

  return update


def _axes(model: nnx.Module) -> dict[str, tuple[int, ...]]:
  """The layers axes of what lies in stacks, by the path of each module."""
  modules = dict(nnx.iter_modules(model))
  stacks = [p for p, m in modules.items() if isinstance(m, Stack)]
  stacks.sort(key=len)  # the outer one first, as its axis is
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


def _places(model: nnx.Module) -> dict[str, CollectionPoint]:
  """What shows its input; that of a layer's binarizer is the layer's."""
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
  """The places that rules choose, each with its collector, by path."""
  if not isinstance(rules, Mapping):
    raise TypeError(
      "`rules` map regular expressions on paths to collectors, e.g."
      f" {{'blocks.*': 'gram'}}, got {rules!r}."
    )
  places, found, taken = _places(model), {}, set()
  for pattern, spec in rules.items():
    made = collector_lib.parse(spec)
    fits = [path for path in places if _fits(pattern, path)]
    left = [path for path in fits if path not in taken]
    if not left:
      raise ValueError(
        f"The rule {pattern!r} chooses no input: "
        + ("the rules before it do." if fits else _offered(pattern, places))
      )
    taken |= set(left)
    for path in left if made is not None else ():
      if made.rows and (why := places[path].rowless):
        raise ValueError(
          f"{made.name!r} collects the rows that a kernel is multiplied with,"
          f" and {path!r} has none: {why}. Leave it out by a rule before the"
          f" others, {{{path!r}: None, ...}}."
        )
      found[path] = places[path], made
  return found


def _fits(pattern: str, path: str) -> bool:
  try:
    return re.fullmatch(pattern, path) is not None
  except (re.error, TypeError) as error:
    raise ValueError(
      f"A rule begins with a regular expression, got {pattern!r}: {error}."
    ) from error


def _offered(pattern: str, paths: Mapping[str, Any]) -> str:
  """The nearest path, and some of the others."""
  some = ", ".join(map(repr, [*paths][:SHOWN])) or "(none)"
  more = ", ..." if len(paths) > SHOWN else ""
  close = errors.nearest(pattern.replace("\\", ""), paths)
  return f"it has to fit a whole path.{close} Paths: {some}{more}."
