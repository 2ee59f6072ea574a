"""`binarize` and `unbinarize`: the layers of any NNX module, in place."""

from collections.abc import Container, Iterator, Mapping, Sequence
from typing import Any

from flax import nnx

from bnnjax.convert import found as found_lib
from bnnjax.convert import layers as layers_lib
from bnnjax.convert import non_negative
from bnnjax.convert import rules as rules_lib
from bnnjax.convert.conversion import Conversion, Layer
from bnnjax.convert.found import Found
from bnnjax.convert.low_bit import LowBit
from bnnjax.convert.rules import Assigned, Rule
from bnnjax.cost import counting
from bnnjax.cost.report import Report
from bnnjax.cost.trace import Traced
from bnnjax.errors import UserError
from bnnjax.layers.variables import LatentWeight


def binarize(
  model: nnx.Module, rules: Mapping[str, Any], *example: Any, **options: Any
) -> tuple[nnx.Module, Conversion]:
  """Binarizes layers of flax in any module, in place.

      model, report = bx.binarize(model, {".*": "reactnet"}, images)
      print(report)

  Layers are `nnx.Linear`, `LinearGeneral`, `Conv`, `ConvTranspose`, `Einsum` and
  `Embed`, also inside of `MultiHeadAttention` and recurrent cells. A layer keeps its
  kernel (which becomes a `LatentWeight`), bias, strides, padding, groups, dtype and
  sharding; only what it calls for its contraction changes:

      y = output(x) * (act(x) weight(kernel)) + bias

  with the gradients of `bnnjax.layers`. `model.train()` and `model.eval()` reach the
  binarizers, and `bx.set_progress` their schedules. The state of the model gains the
  learned parameters and statistics of binarizers, beside the kernels.

  Args:
    model: the module; abstract ones (`nnx.eval_shape`) work too.
    rules: what to do with the layers whose dotted path a key matches, see
      `bnnjax.convert.rules`. The first and the last layer that the model calls stay
      float unless a key is their path. An `Embed` is binarized if a rule gives its
      `weight`, or a method that binarizes embeddings; its `attend` uses the float
      table, as `bnnjax.layers.Embedding` does.
    *example: arguments of the model; shapes (`jax.ShapeDtypeStruct`) are enough.
      Without an example, the first and the last layer are not known, so at least
      two rules must be paths of layers; and the report has no costs.
    **options: keyword arguments of the model.

  Returns:
    The model and the report. Its `warnings` name the layers whose activations all
    get the sign +1, because a ReLU or the like stands before them.

  Raises:
    UserError: a rule matches no layer, or only binarized ones; the rules binarize
      none; a layer cannot be binarized as its rule says; the model does not take the
      example. The model is then as it was.
  """
  if not isinstance(model, nnx.Module):
    raise UserError(
      "`binarize` takes an nnx.Module, got"
      f" {type(model).__name__}: for functions and Linen, use `binarize_fn`."
    )
  every = found_lib.layers(model)
  done = [layer.path for layer in every if layer.is_binarized]
  found = [layer for layer in every if not layer.is_binarized]
  read = rules_lib.read(rules)
  assigned = rules_lib.assign(read, [layer.path for layer in found], done)
  calls, before, traced = [], None, None
  if example or options:
    calls, traced = found_lib.traced(model, example, options)
    before = counting.of_trace(traced)
  else:
    _check_named(assigned)
  ends = {calls[0], calls[-1]} if calls else set()
  chosen = {
    layer.path: _rule(layer, assigned.get(layer.path), layer.path in ends)
    for layer in found
  }
  _check_effective(assigned, chosen, ends, done)
  wanted = [layer for layer in found if not chosen[layer.path].is_float]
  if before is not None:
    _check_called(wanted, calls, before)
  made = [
    _low_bit(layer, chosen[layer.path], number)
    for number, layer in enumerate(found)
    if not chosen[layer.path].is_float
  ]  # all of them before any change
  _install(wanted, made)
  after = None
  if before is not None:
    try:
      after = found_lib.count(model, example, options)
    except UserError:
      _remove(wanted)
      raise
  place = {path: number for number, path in enumerate(dict.fromkeys(calls))}
  listed = sorted(found, key=lambda f: place.get(f.path, len(place)))
  rows = _rows(listed, assigned, chosen, ends)
  warnings = () if traced is None else _constant_signs(wanted, made, traced)
  return model, Conversion(tuple(rows), before, after, warnings)


def _constant_signs(
  wanted: Sequence[Found], made: Sequence[LowBit], traced: Traced
) -> tuple[str, ...]:
  """Warns of activations that all get the same sign."""
  constant = [
    layer
    for layer, low_bit in zip(wanted, made)
    if non_negative.has_one_value(low_bit.act.binarizer)
  ]
  if not constant:
    return ()
  positive = found_lib.never_negative(traced)
  paths = [f.path for f in constant if f.kernel_path in positive]
  if not paths:
    return ()
  return (
    f"{', '.join(paths)}: the input is never negative (as after a ReLU), and its"
    " sign is +1 everywhere, so that the layer sees nothing of it. Binarize"
    " before the ReLU or after a normalization, use hardtanh, or give 'act' a"
    " learned shift ('shift > ste') or {0, 1} ('ste_heaviside').",
  )


def _rows(
  found: Sequence[Found],
  assigned: Mapping[str, Assigned],
  rules: Mapping[str, Rule],
  ends: Container[str],
) -> Iterator[Layer]:
  """Lines of the report; costs of a tied kernel stand in the first one."""
  first: dict[str, str] = {}
  for f in found:
    given, rule = assigned.get(f.path), rules[f.path]
    kept = given is not None and not given.rule.is_float and rule.is_float
    tied = first.setdefault(f.kernel_path, f.path)
    yield Layer(
      f.path,
      f.kernel_path,
      f.kind.op,
      "" if given is None else given.key,
      rule,
      is_end=kept and f.path in ends,
      tied="" if tied == f.path else tied,
    )


def unbinarize(model: nnx.Module) -> nnx.Module:
  """Makes binarized layers float again, in place.

  Before training, the model is what it was, to the bit; after it, its kernels are
  the latent weights. Learned parameters of binarizers are dropped.

  Returns:
    The model.

  Raises:
    UserError: the model has no layer that `binarize` converted.
  """
  found = [layer for layer in found_lib.layers(model) if layer.is_binarized]
  if not found:
    raise UserError("The model has no layer that `binarize` converted.")
  _remove(found)
  return model


def _check_named(assigned: Mapping[str, Assigned]) -> None:
  """Raises unless two rules are paths, of the first and the last layer."""
  named = [path for path, a in assigned.items() if a.names(path)]
  if len(named) < 2:
    raise UserError(
      "Without an example it is not known which layers are the first and the last,"
      " which stay float: give an example (`jax.ShapeDtypeStruct` is enough), or"
      " rules with their paths as keys, e.g. {'stem': None, 'head': None, ...}."
      f" Got {len(named)} such rules."
    )


def _check_effective(
  assigned: Mapping[str, Assigned],
  chosen: Mapping[str, Rule],
  ends: Container[str],
  done: Sequence[str],
) -> None:
  """Raises if rules binarize nothing new, or one not the table that it names."""
  kept = {
    path: a
    for path, a in assigned.items()
    if not a.rule.is_float and chosen[path].is_float
  }
  tables = [path for path, a in kept.items() if a.names(path)]
  if kept and all(rule.is_float for rule in chosen.values()):
    tables += [path for path in kept if path not in ends]
    if not tables:
      key = next(iter(kept.values())).key
      raise rules_lib.ends_alone(key, assigned, done)
  if tables:
    raise UserError(
      f"The rule {kept[tables[0]].key!r} matches {tables[0]!r}, an Embed, which it"
      " does not binarize: give the spec of its table, {'weight':"
      " 'ste|channel_l1'}."
    )


def _check_called(
  wanted: Sequence[Found], calls: Container[str], before: Report
) -> None:
  """Raises if a class of layers computes without the operation it inherits."""
  used = {path for row in before.rows for path in row.parameters}
  for layer in wanted:
    if layer.path not in calls and layer.kernel_path in used:
      raise UserError(
        f"The layer {layer.path!r} ({type(layer.layer).__name__}) is not binarized:"
        f" its kernel is used without calling its `{layer.kind.place}`, which"
        f" binarizing replaces. A rule {{{layer.path!r}: None}} before the others"
        " leaves it float."
      )


def _rule(found: Found, given: Assigned | None, is_end: bool) -> Rule:
  """The rule that applies to a layer."""
  if given is None or (is_end and not given.names(found.path)):
    return Rule()
  return layers_lib.rule_for(found.kind, given.rule)


def _low_bit(found: Found, rule: Rule, number: int) -> LowBit:
  """The module that takes the place of a layer's operation.

  Args:
    found: the layer.
    rule: that applies to it.
    number: of the layer, from which its random numbers come.

  Raises:
    UserError: the layer cannot be binarized.
  """
  kind, layer, kernel = found.kind, found.layer, found.kernel
  try:
    return layers_lib.make(kind, layer, rule, kernel, number)
  except (ValueError, TypeError) as error:
    raise UserError(
      f"The layer {found.path!r} ({type(layer).__name__}) is not binarized: {error}"
      f" A rule {{{found.path!r}: None}} before the others leaves it float."
    ) from error


def _install(wanted: Sequence[Found], made: Sequence[LowBit]) -> None:
  """Gives layers their low-bit operations and latent weights."""
  for layer, low_bit in zip(wanted, made):
    setattr(layer.layer, layer.kind.place, nnx.data(low_bit))
    binarizer = low_bit.weight.binarizer
    is_float = binarizer is None or binarizer.is_float
    # A type of the user's own may choose an optimizer: it stays.
    if not is_float and type(layer.kernel) is nnx.Param:
      layer.kernel.__class__ = LatentWeight


def _remove(binarized: Sequence[Found]) -> None:
  """Takes back what `_install` did.

  The type of a variable changes in place, so that whoever holds it, such as a
  tied layer, keeps it, and that its hooks do not run again.
  """
  for layer in binarized:
    held: LowBit = layer.held
    if held.variable is nnx.Param and type(layer.kernel) is LatentWeight:
      layer.kernel.__class__ = nnx.Param
    setattr(layer.layer, layer.kind.place, nnx.static(held.replaced))
