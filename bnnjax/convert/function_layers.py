"""The binarizers of one parameter of a function.

A layer is a parameter that a rule names, at the contractions that use it. A
kernel that is stacked (scanned over, or with batch axes in its contraction) is
many layers: each slice has its own scales and learned parameters.
"""

import dataclasses
import functools
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from bnnjax.convert.contractions import Contraction
from bnnjax.convert.kernels import UNSTACKED, Kernel, Step
from bnnjax.convert.rules import Rule
from bnnjax.core import method as method_lib
from bnnjax.core import spec as spec_lib
from bnnjax.core.binarizer import Binarizer
from bnnjax.core.general_ops import stackable
from bnnjax.core.progress import Mode, Overheard
from bnnjax.errors import UserError
from bnnjax.layers import output_scale  # noqa: F401 (registers names)
from bnnjax.layers.mode import warn_if_differentiated

Learned = dict[str, dict[str, jax.Array]]  # by role and name


class Variables(NamedTuple):
  """The variables of the binarizers of a layer.

  Attributes:
    learned: parameters.
    training_only: parameters that the deployed function does not have.
    stats: running statistics; may have empty entries.
  """

  learned: Learned
  training_only: Learned
  stats: Learned


@dataclasses.dataclass(frozen=True)
class Layer:
  """How the contractions with one parameter are binarized.

  Attributes:
    path: of the parameter.
    weight, act: its binarizers; `None` for float.
    output: whether each output channel has a learned factor.
    layout: how the parameter is read; `None` if nothing depends on it.
  """

  path: str
  weight: Binarizer | None
  act: Binarizer | None
  output: bool
  layout: tuple | None = None

  @classmethod
  def of(cls, path: str, key: str, rule: Rule) -> "Layer":
    """The layer of a rule.

    Raises:
      UserError: the rule needs what a function does not have.
    """
    weight, act = (
      spec_lib.parse(getattr(rule, role), role) for role in ("weight", "act")
    )
    own = method_lib.layer_options(weight.method) if weight else {}
    for made in (weight, act):
      _check(key, made)
    grad = rule.grad or own.get("grad")
    if grad is not None:
      raise UserError(
        f"The rule {key!r} quantizes gradients ({grad!r}), which draws random"
        " numbers in each step: a function has none. Give the specs of the"
        " operands alone, e.g. {'weight': 'ste|channel_l1', 'act': 'ste'}."
      )
    output = rule.output or own.get("output")
    if output is not None and _name_of_output(key, output) != "channel":
      raise UserError(
        f"The rule {key!r} scales outputs by {output!r}: a function takes"
        " 'channel' alone. Give the specs of the operands, e.g. {'weight':"
        " 'ste|channel_l1', 'act': 'ste', 'output': 'channel'}."
      )
    return cls(path, weight, act, output is not None)

  def variables(self) -> "Variables":
    """Shapes of its variables for some kernel."""
    group = 1
    if self.weight is not None and self.weight.scale is not None:
      scale = self.weight.scale
      group = scale.group(**dict(self.weight.scale_hp)) if scale.group else 1
    init = functools.partial(self.init, features=group)
    kernel = jax.ShapeDtypeStruct((group, 1), jnp.float32)
    return jax.eval_shape(init, kernel, key=jax.random.key(0))

  def init(self, w: jax.Array, features: int, key: jax.Array) -> "Variables":
    """The variables of its binarizers.

    Args:
      w: kernel `[..., K, O]`.
      features: size of the last axis of the input.
      key: for parameters that start at random.
    """
    learned, training_only, stats = {}, {}, {}
    like = jax.ShapeDtypeStruct((1,) * (w.ndim - 1) + (features,), w.dtype)
    for role, x, k in zip(("weight", "act"), (w, like), jax.random.split(key)):
      made = getattr(self, role)
      if made is None:
        continue
      params, stats[role] = made.init(x, k)
      only = made.training_only_names(x)
      for name, value in params.items():
        found = training_only if name in only else learned
        found.setdefault(role, {})[name] = value
    if self.output:
      learned["output"] = {"scale": jnp.ones(w.shape[-1:], jnp.float32)}
    return Variables(learned, training_only, stats)

  def contract(
    self,
    op: Contraction,
    x: jax.Array,
    w: jax.Array,
    learned: Learned,
    mode: Mode | None,
  ) -> jax.Array:
    """The contraction of the binarized operands.

    Args:
      op: the contraction.
      x: its input, in the layout of the function.
      w: its kernel, in the layout of the function.
      learned: parameters of both kinds, see `init`, with the batch axes of the
        kernel in front.
      mode: training or deployed; without one, deployed, and a gradient through
        what would differ in training warns.
    """
    a, k = op.left(x.astype(op.dtype)), op.right(w.astype(op.dtype))
    heard = Overheard() if mode is None else mode
    a = _quantized(self.act, a, learned.get("act"), heard, op.batch)
    k = _quantized(self.weight, k, learned.get("weight"), heard, op.batch)
    y = op.contract(a, k, learned.get("output", {}).get("scale"))
    if mode is None and heard.asked:
      return warn_if_differentiated(f"the binarizers of {self.path!r}", y)
    return y


def _name_of_output(key: str, output: str) -> str:
  """The name of an output scale, which has to be known."""
  try:
    spec_lib.part("output", output, output)
    return spec_lib.name_of(output)
  except (ValueError, TypeError) as error:
    raise UserError(f"The rule {key!r}: {error}") from error


def _check(key: str, made: Binarizer | None) -> None:
  """Raises if a binarizer needs a module or a training loop."""
  if made is None:
    return
  name = f"The rule {key!r} has the {made.role} binarizer {describe(made)},"
  if not made.latent:
    raise UserError(
      f"{name} whose weights have no latent ones: their optimizer flips them. A"
      " function is trained by gradients: leave out `latent=False`."
    )
  events = (*(made.scale.events if made.scale else ()), *made.data_events)
  if events:
    raise UserError(
      f"{name} which needs the loop event {events[0]!r}: a function has neither"
      " loop events nor running statistics. Choose another binarizer, or build"
      " the network from bnnjax layers."
    )


def check_stats(key: str, layer: Layer, stats: dict[str, dict]) -> None:
  """Raises if a binarizer has running statistics, `stats` by role."""
  for role, found in stats.items():
    if found:
      raise UserError(
        f"The rule {key!r} has the {role} binarizer"
        f" {describe(getattr(layer, role))}, whose running statistics"
        f" ({', '.join(found)}) a function cannot update. Choose one without,"
        " or build the network from bnnjax layers."
      )


def describe(made: Binarizer) -> str:
  """The names of the parts of a binarizer: `'shift > ste | channel_l1'`."""
  transform = f"{made.transform.name} > " if made.transform else ""
  scale = f" | {made.scale.name}" if made.scale else ""
  return repr(f"{transform}{made.estimator.name}{scale}")


def _quantized(made, x, learned, mode: Mode, batch: int):
  """`x` binarized, once for each index of its first axes."""
  if made is None:
    return x

  def one(x, learned):
    return stackable(made.apply(x, learned, {}, mode)[0])

  for _ in range(batch):
    one = jax.vmap(one)
  return one(x, learned or {}) if batch else made.apply(x, learned, {}, mode)[0]


def per_kernel(
  init: Callable[..., Any],
  steps: Sequence[Step],
  op: Contraction,
  param: jax.Array,
  key: jax.Array,
) -> Any:
  """Calls `init(kernel, key)` for each kernel of a stacked parameter.

  Args:
    init: of a kernel `[..., K, O]`.
    steps: from the parameter to the operand of the contraction.
    op: the contraction.
    param: the parameter.
    key: split for each axis of kernels.

  Returns:
    What `init` returns, with the axes of the stack in front.
  """

  def stacked(f, x, key):
    return jax.vmap(f)(x, jax.random.split(key, x.shape[0]))

  def batched(axes):
    if not axes:
      return init
    return lambda w, key: stacked(batched(axes - 1), w, key)

  for i, step in enumerate(steps):
    if step is UNSTACKED:
      return stacked(
        functools.partial(per_kernel, init, steps[i + 1 :], op), param, key
      )
    param = step.primitive.bind(param, **step.params)
  return batched(op.batch)(op.right(param), key)


def layout_of(kernel: Kernel, op: Contraction) -> tuple:
  """What must agree between uses that share learned parameters."""
  return kernel.steps, op.layout, op.features


def check_layout(layer: Layer, kernel: Kernel, op: Contraction) -> None:
  """Raises if a use does not fit the learned parameters of its layer."""
  if kernel.is_part:
    raise UserError(
      f"Only a slice of the parameter {layer.path!r} is contracted, so that its"
      " learned binarizers have no shape: choose binarizers without learned"
      " parameters, or store its parts as parameters of their own."
    )
  if layer.layout not in (None, layout_of(kernel, op)):
    raise UserError(
      f"The layer {layer.path!r} is used in two layouts (as it is and transposed,"
      " or whole and in slices), which cannot share learned parameters: choose"
      " binarizers without them, or a parameter for each use."
    )
