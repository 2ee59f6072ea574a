"""`binarize` and `unbinarize`: the layers of any NNX module, in place."""

import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from flax import nnx

from bnnjax.convert import layers as layers_lib
from bnnjax.convert import rules as rules_lib
from bnnjax.convert.conversion import Conversion, Layer
from bnnjax.convert.layers import Kind
from bnnjax.convert.low_bit import LowBit
from bnnjax.convert.rules import Assigned, Rule
from bnnjax.cost import counting
from bnnjax.cost.report import Report
from bnnjax.errors import UserError
from bnnjax.layers.variables import LatentWeight


@dataclasses.dataclass(frozen=True)
class Found:
  """A layer of a model."""

  path: str
  layer: nnx.Module
  kind: Kind

  @property
  def kernel(self) -> nnx.Variable:
    """The variable of the kernel."""
    return getattr(self.layer, self.kind.kernel)

  @property
  def held(self) -> Any:
    """What the layer calls for its operation."""
    return getattr(self.layer, self.kind.place)


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
      `weight`, or a method that binarizes embeddings.
    *example: arguments of the model; shapes (`jax.ShapeDtypeStruct`) are enough.
      Without an example, the first and the last layer are not known, so at least
      two rules must be paths of layers; and the report has no costs.
    **options: keyword arguments of the model.

  Returns:
    The model and the report.

  Raises:
    UserError: a rule matches no layer; a layer cannot be binarized as its rule says;
      the model does not take the example. The model is then as it was.
  """
  if not isinstance(model, nnx.Module):
    raise UserError(
      "`binarize` takes an nnx.Module, got"
      f" {type(model).__name__}: for functions and Linen, use `binarize_fn`."
    )
  found = [layer for layer in layers(model) if not is_binarized(layer)]
  read = rules_lib.read(rules)
  assigned = rules_lib.assign(read, [layer.path for layer in found])
  order, before = [], None
  if example or options:
    order, before = _traced(model, found, example, options)
  else:
    _check_named(assigned)
  ends = {order[0], order[-1]} if order else set()
  chosen = {
    layer.path: _rule(layer, assigned.get(layer.path), layer.path in ends)
    for layer in found
  }
  made = {
    layer.path: _low_bit(layer, chosen[layer.path])
    for layer in found
    if not chosen[layer.path].is_float
  }  # all of them before any change
  _install(model, found, made)
  after = _count(model, example, options) if before is not None else None
  place = {path: number for number, path in enumerate(order)}
  listed = sorted(found, key=lambda f: place.get(f.path, len(place)))
  rows = (_row(f, assigned, chosen[f.path], f.path in ends) for f in listed)
  return model, Conversion(tuple(rows), before, after)


def _row(found: Found, assigned, rule: Rule, is_end: bool) -> Layer:
  given = assigned.get(found.path)
  return Layer(
    found.path,
    ".".join(filter(None, (found.path, found.kind.kernel))),
    found.kind.op,
    "" if given is None else given.key,
    rule,
    is_end and rule.is_float and given is not None and not given.rule.is_float,
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
  found = [layer for layer in layers(model) if is_binarized(layer)]
  if not found:
    raise UserError("The model has no layer that `binarize` converted.")
  replaced = {}
  for layer in found:
    held: LowBit = layer.held
    replaced[id(layer.kernel)] = _as(held.variable, layer.kernel)
    setattr(layer.layer, layer.kind.place, nnx.static(held.replaced))
  _replace(model, replaced)
  return model


def layers(model: nnx.Module) -> Iterator[Found]:
  """Layers of flax in a module, each once, by path."""
  for path, module in nnx.iter_modules(model):
    kind = next((k for k in layers_lib.KINDS if isinstance(module, k.layer)), 0)
    if kind:
      yield Found(".".join(map(str, path)), module, kind)


def is_binarized(found: Found) -> bool:
  """Whether `binarize` has converted a layer."""
  return isinstance(found.held, LowBit)


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


def _rule(found: Found, given: Assigned | None, is_end: bool) -> Rule:
  """The rule that applies to a layer."""
  if given is None or (is_end and not given.names(found.path)):
    return Rule()
  return layers_lib.rule_for(found.kind, given.rule)


def _low_bit(found: Found, rule: Rule) -> LowBit:
  """The module that takes the place of a layer's operation.

  Raises:
    UserError: the layer cannot be binarized.
  """
  kind, layer, kernel = found.kind, found.layer, found.kernel
  try:
    return layers_lib.make(kind, layer, rule, kernel)
  except (ValueError, TypeError) as error:
    raise UserError(
      f"The layer {found.path!r} ({type(layer).__name__}) is not binarized: {error}"
      f" A rule {{{found.path!r}: None}} before the others leaves it float."
    ) from error


def _install(
  model: nnx.Module, found: Sequence[Found], made: Mapping[str, LowBit]
) -> None:
  """Gives the layers their low-bit operations and latent weights."""
  replaced = {}
  for layer in found:
    if layer.path not in made:
      continue
    low_bit, kernel = made[layer.path], layer.kernel
    setattr(layer.layer, layer.kind.place, nnx.data(low_bit))
    # A type of the user's own may choose an optimizer: it stays.
    if low_bit.weight.binarizer is not None and type(kernel) is nnx.Param:
      replaced[id(kernel)] = _as(LatentWeight, kernel)
  _replace(model, replaced)


def _as(kind: type[nnx.Variable], variable: nnx.Variable) -> nnx.Variable:
  """A variable of another type with the same array and metadata."""
  return kind(variable.get_value(), **variable.get_metadata())


def _replace(model: nnx.Module, by_id: Mapping[int, nnx.Variable]) -> None:
  """Replaces variables wherever the model holds them: they may be tied."""
  for _, node in nnx.iter_modules(model):
    for name, held in list(vars(node).items()):
      if id(held) in by_id:
        setattr(node, name, by_id[id(held)])


def _traced(
  model: nnx.Module, found: Sequence[Found], example, options
) -> tuple[list[str], Report]:
  """Paths of the layers in the order of their calls, and the costs."""
  copy, order = _copy(model), []

  def recorded(path, promote):
    def promote_dtype(*args, **kwargs):
      order.append(path)
      return promote(*args, **kwargs)

    return promote_dtype

  for layer in layers(copy):
    promote = layer.layer.promote_dtype
    layer.layer.promote_dtype = recorded(layer.path, promote)
  report = _counted(copy, example, options)
  known = {layer.path for layer in found}
  return [path for path in dict.fromkeys(order) if path in known], report


def _count(model: nnx.Module, example, options) -> Report:
  return _counted(_copy(model), example, options)


def _counted(model: nnx.Module, example, options) -> Report:
  """The costs of a model in its deployed mode, which this sets."""
  model.eval()
  return counting.count(model, *example, **options)


def _copy(model: nnx.Module) -> nnx.Module:
  """Another module with the same arrays."""
  return nnx.merge(*nnx.split(model))
