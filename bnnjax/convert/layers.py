"""Layers of flax that can be binarized: where their kernel and operation are."""

import dataclasses
import functools
import math
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx
from jax import lax

from bnnjax.convert import low_bit
from bnnjax.convert.low_bit import LowBit
from bnnjax.convert.rules import Rule
from bnnjax.core import method as method_lib
from bnnjax.core import registry
from bnnjax.core import spec as spec_lib
from bnnjax.errors import UserError
from bnnjax.layers import mode
from bnnjax.layers.geometry import Geometry


@dataclasses.dataclass(frozen=True)
class Kind:
  """A type of layers.

  Attributes:
    layer: the type.
    op: the name of its operation in reports.
    place: the attribute that holds the operation.
    default: what it holds in a layer without one of its own.
    shape: of a layer's kernel, without axes of stacked layers.
    make: `(layer, rule, kernel, **options) -> LowBit`.
    kernel: the attribute that holds the kernel.
    finishes: whether the output may have a scale, and its gradient a quantizer.
  """

  layer: type[nnx.Module]
  op: str
  place: str
  default: Any
  shape: Callable[[Any], tuple[int, ...]]
  make: Callable[..., LowBit]
  kernel: str = "kernel"
  finishes: bool = True


def _linear(layer, rule, kernel, **options):
  return low_bit.DotGeneral(rule, kernel, kernel.shape[0], **options)


def _linear_general(layer, rule, kernel, **options):
  batch = tuple(layer.batch_axis.values())
  inputs = math.prod(layer.in_features)
  kernel = kernel.reshape(*batch, inputs, math.prod(layer.out_features))
  return low_bit.DotGeneral(rule, kernel, inputs, batch=len(batch), **options)


def _einsum(layer, rule, kernel, **options):
  if layer.einsum_str is None:
    raise UserError(
      "an Einsum whose equation comes with the call has no fixed inputs: give"
      " the equation to the layer."
    )
  left, _, right = layer.einsum_str.partition("->")[0].partition(",")
  # Sizes of axes that the kernel lacks do not matter here.
  sizes = dict(zip(right, layer.kernel_shape))
  shape = tuple(sizes.get(c, 1) for c in left.replace("...", ""))
  form, _ = low_bit.DotForm.of_einsum(
    layer.einsum_str, shape, layer.kernel_shape
  )
  kernel = form.right(kernel)
  return low_bit.Einsum(
    rule, kernel, kernel.shape[-2], batch=len(form.batch), **options
  )


def _conv(layer, rule, kernel, **options):
  if layer.mask is not None:
    raise UserError(
      "a convolution with a mask has kernel elements of 0, which 1 bit does not"
      " hold."
    )
  window = layer.kernel_size
  strides, dilation = (
    _per_axis(x, len(window)) for x in (layer.strides, layer.kernel_dilation)
  )
  causal = 0
  if layer.padding == "CAUSAL":
    causal = dilation[0] * (window[0] - 1)
  padding = layer.padding
  plain = padding in ("SAME", "VALID") or (
    not isinstance(padding, str | int)
    and all(not isinstance(pair, int) for pair in padding)
  )
  geometry = Geometry(window, strides, padding, dilation) if plain else None
  made = spec_lib.parse(rule.weight, "weight")
  own = method_lib.layer_options(made.method) if made is not None else {}
  if geometry is None and (rule.output or own.get("output")) == "spatial_l1":
    raise UserError(
      "the output scale 'spatial_l1' needs the padding 'SAME', 'VALID' or pairs,"
      f" got {padding!r}."
    )
  return low_bit.ConvGeneral(
    rule, kernel, layer.in_features, causal=causal, geometry=geometry, **options
  )


def _conv_transpose(layer, rule, kernel, **options):
  if layer.mask is not None:
    raise UserError(
      "a convolution with a mask has kernel elements of 0, which 1 bit does not"
      " hold."
    )
  flip = layer.transpose_kernel
  kernel = jnp.swapaxes(kernel, -1, -2) if flip else kernel
  return low_bit.Operands(rule, kernel, layer.in_features, flip=flip, **options)


def _embed(layer, rule, table, **options):
  made = spec_lib.parse(rule.weight, "weight", preset="embedding")
  rule = dataclasses.replace(rule, weight=made)
  return low_bit.Operands(rule, table, layer.features, **options)


def _per_axis(x: Any, axes: int) -> tuple[int, ...]:
  return (x or 1,) * axes if x is None or isinstance(x, int) else tuple(x)


def _conv_shape(layer) -> tuple[int, ...]:
  return tuple(layer.kernel_shape)


def rule_for(kind: Kind, rule: Rule) -> Rule:
  """The part of a rule that applies to a kind of layers.

  A table of embeddings has no activations; a method's name binarizes it if the
  method has a preset for embeddings.
  """
  if kind.layer is not nnx.Embed or rule.is_float:
    return rule
  if rule.act == rule.weight and rule.weight in registry.registered("method"):
    preset = registry.get("method", rule.weight).embedding
    if preset.spec is None:
      return Rule()
  return dataclasses.replace(rule, act=None)


def make(
  kind: Kind,
  layer: nnx.Module,
  rule: Rule,
  kernel: nnx.Variable,
  number: int,
) -> LowBit:
  """The module that takes the place of a layer's operation.

  Kernels with more leading axes than the layer's are those of stacked layers
  (`nnx.vmap`); binarizers are stacked like them. Random numbers come from the
  layer's number.

  Raises:
    UserError: the layer has an operation of its own, or its kernel another shape.
    ValueError: the rule does not suit the layer.
  """
  _check(kind, layer, rule, kernel)
  shape, wanted = tuple(kernel.shape), kind.shape(layer)
  stacked = len(shape) - len(wanted)
  if stacked < 0 or shape[stacked:] != wanted:
    raise UserError(f"its kernel has the shape {shape}, not {wanted}.")
  graph, state = nnx.split(layer)
  parts = kind, rule, type(kernel), stacked, graph
  key = jax.random.fold_in(jax.random.key(0), number)
  result = nnx.eval_shape(functools.partial(_made, *parts), state, key)
  abstract = isinstance(kernel.get_value(), jax.ShapeDtypeStruct)
  if not abstract and jax.tree.leaves(nnx.state(result)):
    nnx.update(result, _variables(parts, state, key))
  for part in mode.parts(result):
    part.stacked = (*shape[:stacked], *part.stacked)
  return result


def _made(kind, rule, variable, stacked, graph, state, key) -> LowBit:
  """Builds the low-bit operation of a layer, given as its parts."""
  layer = nnx.merge(graph, state)

  def made(array, key):
    return kind.make(
      layer,
      rule,
      array,
      rngs=nnx.Rngs(params=key),
      replaced=getattr(layer, kind.place),
      variable=variable,
    )

  array = getattr(layer, kind.kernel).get_value()
  if stacked:
    key = jax.random.split(key, array.shape[:stacked])
  for _ in range(stacked):
    made = nnx.vmap(made)
  return made(array, key)


def _variables(parts: tuple, state: nnx.State, key: jax.Array) -> nnx.State:
  """The variables of `_made`, in one program: it keeps no copy of a kernel."""
  try:
    hash(parts)
  except TypeError:  # a layer with lists among its options
    return jax.jit(lambda *args: nnx.state(_made(*parts, *args)))(state, key)
  return _compiled(parts, state, key)


@functools.partial(jax.jit, static_argnums=0)
def _compiled(parts, state, key) -> nnx.State:
  return nnx.state(_made(*parts, state, key))


def _check(kind: Kind, layer: nnx.Module, rule: Rule, kernel: Any) -> None:
  """Raises `UserError` for layers and rules that do not go together."""
  if not isinstance(kernel, nnx.Variable):
    raise UserError(
      f"its `{kind.kernel}` is no nnx.Variable, got {type(kernel).__name__}."
    )
  held = getattr(layer, kind.place)
  own = getattr(layer, "dot_general_cls", None) is not None
  if own or (kind.default is not ... and held is not kind.default):
    raise UserError(
      f"it has a `{kind.place}` of its own, which binarizing would replace."
    )
  preset = "embedding" if kind.layer is nnx.Embed else None
  made = spec_lib.parse(rule.weight, "weight", preset=preset)
  if made is not None and not made.latent:
    raise UserError(
      f"the weights of {str(rule.weight)!r} have no latent ones: their optimizer"
      " flips them. Leave out `latent=False`, or build the network from bnnjax"
      " layers."
    )
  if not kind.finishes:
    given = {"output": rule.output, "grad": rule.grad}
    if made is not None:
      given = method_lib.layer_options(made.method) | {
        key: value for key, value in given.items() if value
      }
    for name in ("output", "grad"):
      if given.get(name):
        raise UserError(f"{kind.op} takes no `{name}`, got {given[name]!r}.")


KINDS = (
  Kind(
    nnx.Linear,
    "dot",
    "dot_general",
    lax.dot_general,
    lambda layer: (layer.in_features, layer.out_features),
    _linear,
  ),
  Kind(
    nnx.LinearGeneral,
    "dot",
    "dot_general",
    None,
    lambda layer: (
      *layer.batch_axis.values(),
      *layer.in_features,
      *layer.out_features,
    ),
    _linear_general,
  ),
  Kind(
    nnx.Einsum,
    "einsum",
    "einsum_op",
    jnp.einsum,
    lambda layer: tuple(layer.kernel_shape),
    _einsum,
  ),
  Kind(
    nnx.Conv,
    "conv",
    "conv_general_dilated",
    lax.conv_general_dilated,
    _conv_shape,
    _conv,
  ),
  Kind(
    nnx.ConvTranspose,
    "conv transpose",
    "promote_dtype",
    ...,
    _conv_shape,
    _conv_transpose,
    finishes=False,
  ),
  Kind(
    nnx.Embed,
    "embed",
    "promote_dtype",
    ...,
    lambda layer: (layer.num_embeddings, layer.features),
    _embed,
    kernel="embedding",
    finishes=False,
  ),
)
