"""`binarize_fn`: binarizes a function of parameters (Flax Linen, plain JAX).

The function is traced, and its jaxpr is interpreted with binarized dots and
convolutions where an operand is a parameter that a rule matches.
"""

import functools
import inspect
from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from bnnjax.convert import kernels as kernels_lib
from bnnjax.convert import plan as plan_lib
from bnnjax.convert import rules as rules_lib
from bnnjax.convert.contractions import Contraction
from bnnjax.convert.interpreter import Interpreter
from bnnjax.convert.kernels import Kernel, Use
from bnnjax.convert.plan import Plan
from bnnjax.core.progress import Mode
from bnnjax.cost import variables
from bnnjax.errors import UserError


def binarize_fn(
  fn: Callable[..., Any],
  params: Any,
  rules: Mapping[str, Any],
  *example: Any,
  **example_options: Any,
) -> tuple[Callable[..., Any], dict[str, Any]]:
  """Binarizes the dots and convolutions of a function.

      fn, params = bx.binarize_fn(
        model.apply, variables, {".*kernel": "reactnet"}, x
      )
      logits = fn(params, x)

  A parameter is a layer if it is an operand of `lax.dot_general` or the kernel
  of a convolution (of two parameters the right operand), also after a cast, a
  change of layout, or as the slice that one iteration of a scan sees. Kernels
  get the scales that they have in `bnnjax.layers`: `channel` is their output.
  The first and the last layer that are used stay float unless the key of a rule
  is their path.

  A parameter that is used twice (a tied one) is one layer: both uses binarize,
  with the same learned parameters; lookups in a table stay float. A kernel that
  is scanned over or batched is one layer for each slice. A sign behind a ReLU is
  +1 everywhere, which `binarize` reports and this function does not. Projections of latent
  weights belong to a training loop, which a function does not have.

  Args:
    fn: `fn(params, *args, **options)`, such as `model.apply` of Flax Linen. It
      has to be traceable.
    params: any pytree of arrays, or of `jax.ShapeDtypeStruct`s.
    rules: patterns for dotted paths of parameters, such as
      `params.Dense_0.kernel`, see `bnnjax.convert.rules`.
    *example: further arguments of `fn`; shapes (`jax.ShapeDtypeStruct`)
      suffice. Without an example the rules must name the first and the last
      layer, and binarizers have no learned parameters.
    **example_options: keyword arguments of `fn`.

  Returns:
    The new function and its parameters. The function is called as before, with
    the new parameters first, and may be transformed by jax. Each call traces it:
    call it under `jax.jit`. It takes a keyword more, `mode`: a `bnnjax.Mode`, by
    default the deployed one; schedules need `Mode.training(progress)`.

    The parameters are a dict: `"params"` are the latent weights, as they were
    given; `"binarizers"` the learned parameters of binarizers by path and role
    (`"weight"`, `"act"`, `"output"`); `"training_only"` those that the deployed
    function does not have. Random ones are drawn from `jax.random.key(0)`.

  Raises:
    UserError: a rule that matches no layer; what a function cannot do (running
      statistics, loop events, weights without latent ones, quantized gradients);
      a layer whose contraction cannot be rewritten, inside a `custom_vjp` or a
      derivative.

  Example:
    >>> fn = lambda p, x: jax.nn.relu(jax.nn.relu(x @ p["a"]) @ p["b"]) @ p["c"]
    >>> params = {k: jnp.eye(4) * 0.5 for k in "abc"}
    >>> fn2, params2 = bx.binarize_fn(fn, params, {"b": "ste"}, jnp.ones((1, 4)))
    >>> fn2(params2, jnp.ones((1, 4)))  # all signs of `b` are +1
    [[2. 2. 2. 2.]]
  """
  rules = rules_lib.read(rules)
  _check_names(fn)
  leaves = _leaves(params)
  names = [p for p, x in leaves.items() if _is_weight(x)]
  plan, learned, only = None, {}, {}
  if example or example_options or _takes_parameters_alone(fn):
    *_, traced = _traced(fn, (params, *example), example_options)
    uses = _uses(traced, [*leaves], names)
    plan = plan_lib.plan_of(rules, names, uses)
    plan, learned, only = plan_lib.started(plan, leaves, uses)
  else:
    plan_lib.check_without_example(rules, names)
  new = dict(zip(variables.BINARIZED, (params, learned, only)))
  return _converted(fn, rules, plan), new


def _converted(fn, rules, plan: Plan | None) -> Callable[..., Any]:
  """The new function."""

  @functools.wraps(fn)
  def converted(params, *args, mode: Mode | None = None, **options):
    if mode is not None and not isinstance(mode, Mode):
      raise UserError(
        "`mode` of a binarized function is a bnnjax.Mode, got"
        f" {mode!r:.60}. If the function has an option of this name, bind it:"
        " lambda params, x: fn(params, x, mode=...)."
      )
    given, learned = _unpacked(params)
    leaves = _leaves(given)
    arrays, tree, traced = _traced(fn, (given, *args), options)
    names = [path for path, x in leaves.items() if _is_weight(x)]
    uses = _uses(traced, [*leaves], names)
    now = plan
    if now is None:
      now = plan_lib.plan_of(rules, names, uses)
      plan_lib.check_ends(now)
    plan_lib.check_uses(rules, now, uses)
    plan_lib.check_parameters(now, leaves, learned)

    def rewrite(use: Use, left, right, own):
      x, w = (left, right) if use.side else (right, left)
      layer = now.layers[use.kernel.path]
      return layer.contract(Contraction.of(use), x, w, own, mode)

    kernels = _kernels(traced, [*leaves], now.layers)
    outs = Interpreter(rewrite).run(traced, arrays, kernels, learned)
    return jax.tree.unflatten(tree, outs)

  options = _options_of(fn)
  if options:  # else nobody knows them
    mode = inspect.Parameter(
      "mode", inspect.Parameter.KEYWORD_ONLY, default=None
    )
    last = options[-1].kind is inspect.Parameter.VAR_KEYWORD
    options.insert(len(options) - last, mode)
    converted.__signature__ = inspect.Signature(options)
  return converted


def _traced(fn, args: tuple, options: dict) -> tuple[list, Any, Any]:
  """Arrays among the arguments, structure of the results, jaxpr.

  The arrays of the first argument, the parameters, come first. What is no array
  (Python numbers, strings, functions) reaches the function as it is.
  """
  leaves, structure = jax.tree.flatten((args, options))
  where = [i for i, x in enumerate(leaves) if _is_traced(x)]

  def flat(*arrays):
    filled = list(leaves)
    for i, x in zip(where, arrays):
      filled[i] = x
    args, options = jax.tree.unflatten(structure, filled)
    return fn(*args, **options)

  arrays = [leaves[i] for i in where]
  jaxpr, shapes = jax.make_jaxpr(flat, return_shape=True)(*arrays)
  return arrays, jax.tree.structure(shapes), jaxpr


def _leaves(params: Any) -> dict[str, Any]:
  """The arrays of a pytree by dotted path."""
  found: dict[str, Any] = {}
  for path, leaf in jax.tree_util.tree_flatten_with_path(params)[0]:
    # A box around an array (`nn.Partitioned`) is not part of its name.
    boxed = len(path) > 1 and path[-1] == jax.tree_util.GetAttrKey("value")
    keys = path[:-1] if boxed else path
    name = ".".join(map(variables.key, keys)) or "params"
    if not _is_traced(leaf):
      continue
    if name in found:
      raise UserError(
        f"Two parameters have the path {name!r}: rename a key with a dot in it."
      )
    found[name] = leaf
  return found


def _is_traced(x: Any) -> bool:
  # A numpy scalar may be a flag that the function reads.
  return variables.is_array(x) and not isinstance(x, np.generic)


def _is_weight(x: Any) -> bool:
  return jnp.issubdtype(x.dtype, jnp.floating) and len(x.shape) > 0


def _kernels(jaxpr, paths: list[str], wanted) -> list[Kernel | None]:
  """Which inputs of a traced function are kernels."""
  found = [Kernel(path) if path in wanted else None for path in paths]
  return found + [None] * (len(jaxpr.jaxpr.invars) - len(found))


def _uses(jaxpr: Any, paths: list[str], wanted) -> list[Use]:
  return kernels_lib.follow(jaxpr, _kernels(jaxpr, paths, wanted))[1]


def _unpacked(params: Any) -> tuple[Any, dict[str, dict]]:
  """Latent weights, and the learned parameters of each layer."""
  if not variables.is_binarized(params):
    keys = isinstance(params, Mapping)
    got = ", ".join(map(str, params)) if keys else type(params).__name__
    raise UserError(
      "A binarized function takes the parameters that `binarize_fn` returned,"
      f" with the keys {', '.join(variables.BINARIZED)}: got {got}."
    )
  latent, *parts = (params[name] for name in variables.BINARIZED)
  learned: dict[str, dict] = {}
  for part in parts:
    for path, roles in part.items():
      for role, values in roles.items():
        mine = learned.setdefault(path, {}).setdefault(role, {})
        mine.update(values)
  return latent, learned


def _options_of(fn: Any) -> list[inspect.Parameter]:
  """The arguments of a function, as far as they are known."""
  try:
    return [*inspect.signature(fn).parameters.values()]
  except (TypeError, ValueError):
    return []


def _takes_parameters_alone(fn: Any) -> bool:
  options = _options_of(fn)
  variable = inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD
  return len(options) == 1 and options[0].kind not in variable


def _check_names(fn: Any) -> None:
  """Raises if the function itself has an option `mode`."""
  if any(option.name == "mode" for option in _options_of(fn)):
    raise UserError(
      "The function has an argument `mode`, which the binarized one needs to"
      " tell training from deployment: bind it, lambda params, x: fn(params, x,"
      " mode=...)."
    )
