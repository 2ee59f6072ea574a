"""Which parameters of a function are binarized: rules against a trace."""

import dataclasses
import functools
from collections.abc import Mapping, Sequence
from typing import Any

import jax

from bnnjax.convert import function_layers as layers_lib
from bnnjax.convert import rules as rules_lib
from bnnjax.convert.contractions import Contraction
from bnnjax.convert.function_layers import Layer
from bnnjax.convert.kernels import Use
from bnnjax.convert.rules import Assigned, Rule
from bnnjax.errors import UserError

Roles = dict[str, dict[str, Any]]  # variables of a layer by role and name


@dataclasses.dataclass(frozen=True)
class Plan:
  """What a trace and the rules say.

  Attributes:
    layers: the binarized layers by path.
    assigned: the rules of all layers that one matches.
    order: the path of the layer of each use.
  """

  layers: Mapping[str, Layer]
  assigned: Mapping[str, Assigned]
  order: tuple[str, ...]


def plan_of(
  rules: Mapping[str, Rule], parameters: Sequence[str], uses: Sequence[Use]
) -> Plan:
  """Finds the layers of a trace and their rules.

  Args:
    rules: by pattern.
    parameters: paths of all float arrays.
    uses: what the trace showed.

  Raises:
    UserError: a rule applies to no layer, or asks for what a function cannot
      do.
  """
  order = tuple(use.kernel.path for use in uses)
  paths = tuple(dict.fromkeys(order))
  _check_operands(rules, parameters, paths)
  assigned = rules_lib.assign(rules, paths)
  applied = {
    path: a
    for path, a in assigned.items()
    if path not in (order[0], order[-1]) or a.names(path)
  }
  wanted = [a.key for a in assigned.values() if not a.rule.is_float]
  if wanted and all(a.rule.is_float for a in applied.values()):
    raise rules_lib.ends_alone(wanted[0], assigned)
  layers = {
    path: Layer.of(path, a.key, a.rule)
    for path, a in applied.items()
    if not a.rule.is_float
  }
  return Plan(layers, assigned, order)


def _check_operands(rules, parameters, paths: tuple[str, ...]) -> None:
  """Raises if a rule matches parameters, none of which is a layer."""
  for key in rules:
    found = [path for path in parameters if rules_lib.matches(key, path)]
    if found and not any(path in paths for path in found):
      near = rules_lib.nearest(key, paths)
      raise UserError(
        f"The rule {key!r} matches no layer: {found[0]!r} is no operand of a dot"
        f" or convolution (or only after arithmetic).{near} Layers:"
        f" {', '.join(paths) or '(none)'}."
      )


def check_uses(
  rules: Mapping[str, Rule], plan: Plan, uses: Sequence[Use]
) -> None:
  """Raises if a layer cannot be rewritten as planned.

  Args:
    rules: for layers that the plan does not know.
    plan: of the example.
    uses: of a trace with the same or other arguments.
  """
  for use in uses:
    path = use.kernel.path
    layer = plan.layers.get(path)
    if layer is None and path not in plan.order:
      key = next((k for k in rules if rules_lib.matches(k, path)), None)
      if key is not None and not rules[key].is_float:
        raise UserError(
          f"The layer {path!r} was not used with the example, but the rule"
          f" {key!r} matches it: give an example that uses every layer."
        )
    if layer is None:
      continue
    if use.obstacle:
      raise UserError(
        f"The layer {path!r} cannot be binarized: its contraction"
        f" {use.obstacle}. To keep it float, begin with the rule"
        f" {{{path!r}: None}}."
      )
    if layer.layout is not None:
      layers_lib.check_layout(layer, use.kernel, Contraction.of(use))


def check_parameters(
  plan: Plan, parameters: Mapping[str, Any], learned: Mapping[str, Roles]
) -> None:
  """Raises if the parameters of a call lack those of a layer."""
  for path, layer in plan.layers.items():
    if path not in parameters:
      raise UserError(
        f"The parameters lack {path!r}, which is binarized: got"
        f" {', '.join(parameters) or '(none)'}."
      )
    if layer.layout is not None and path not in learned:
      raise UserError(
        f"The parameters lack what the binarizers of {path!r} learned: give"
        " 'binarizers' and 'training_only' as `binarize_fn` returned them."
      )


def started(
  plan: Plan, parameters: Mapping[str, Any], uses: Sequence[Use]
) -> tuple[Plan, dict[str, Roles], dict[str, Roles]]:
  """The plan with layouts, and the variables of its layers.

  Args:
    plan: of the same trace as `uses`.
    parameters: arrays or `jax.ShapeDtypeStruct`s by path.
    uses: what the trace showed.

  Returns:
    The plan, learned parameters by path, and those for training alone.
  """
  check_uses({}, plan, uses)
  layers, learned, training_only = {}, {}, {}
  for number, (path, layer) in enumerate(plan.layers.items()):
    mine = [use for use in uses if use.kernel.path == path]
    shapes = layer.variables()
    layers_lib.check_stats(plan.assigned[path].key, layer, shapes.stats)
    layers[path] = layer
    if shapes.learned or shapes.training_only:
      op = Contraction.of(mine[0])
      layout = layers_lib.layout_of(mine[0].kernel, op)
      layers[path] = dataclasses.replace(layer, layout=layout)
      key = jax.random.fold_in(jax.random.key(0), number)
      found = _variables(layer, mine[0], op, parameters[path], key)
      learned[path], training_only[path] = found.learned, found.training_only
  plan = dataclasses.replace(plan, layers=layers)
  check_uses({}, plan, uses)
  return plan, _filled(learned), _filled(training_only)


def _variables(
  layer: Layer, use: Use, op: Contraction, parameter: Any, key: jax.Array
) -> layers_lib.Variables:
  """The variables of a layer, or their shapes."""
  layers_lib.check_layout(layer, use.kernel, op)
  make = functools.partial(
    layers_lib.per_kernel,
    lambda w, key: layer.init(w, op.features, key),
    use.kernel.steps,
    op,
  )
  if isinstance(parameter, jax.ShapeDtypeStruct):
    return jax.eval_shape(make, parameter, key)
  return jax.jit(make)(parameter, key)  # one program: no copy of the kernel


def _filled(found: dict[str, Roles]) -> dict[str, Roles]:
  return {path: roles for path, roles in found.items() if roles}


def check_without_example(
  rules: Mapping[str, Rule], parameters: Sequence[str]
) -> None:
  """Raises if the rules need an example."""
  assigned = rules_lib.assign(rules, parameters)
  named = [key for key in rules if key in parameters]
  if len(named) < 2:
    raise UserError(
      "Without an example the rules must name the first and the last layer by"
      f" their paths: got {', '.join(map(repr, named)) or 'none'}. Give example"
      " arguments of the function (shapes suffice), or add rules such as"
      f" {{{parameters[0]!r}: None}}."
    )
  for path, a in assigned.items():
    layer = Layer.of(path, a.key, a.rule)
    shapes = layer.variables()
    layers_lib.check_stats(a.key, layer, shapes.stats)
    if shapes.learned or shapes.training_only:
      raise UserError(
        f"The rule {a.key!r} has learned parameters, whose shapes an example"
        " shows: give example arguments of the function (shapes suffice)."
      )


def check_ends(plan: Plan) -> None:
  """Raises if a rule does not name the first or the last layer."""
  for which, path in (("first", plan.order[0]), ("last", plan.order[-1])):
    if path not in plan.assigned or not plan.assigned[path].names(path):
      raise UserError(
        f"The {which} layer is {path!r}: without an example a rule must name it"
        f" by its path, e.g. {{{path!r}: None}}."
      )
