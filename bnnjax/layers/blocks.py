"""Building blocks that convolutional networks share.

A `Unit` is a convolution with the layers that a paper puts around it, in the
paper's order. `bnnjax.layers.shortcut` joins units.
"""

import dataclasses
from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx

from bnnjax import deprecated
from bnnjax.core import registry
from bnnjax.core.progress import Mode
from bnnjax.core.spec import parse
from bnnjax.layers import norm as norm_lib
from bnnjax.layers.activations import ACTIVATIONS, LearnedShift, activation
from bnnjax.layers.contraction import LECUN_NORMAL
from bnnjax.layers.conv import Conv
from bnnjax.layers.linear import Linear, Spec
from bnnjax.layers.pool import BlurPool, Pool

# Variance 1 and 2, divided by the inputs of an output.
INITS = {
  "lecun_normal": LECUN_NORMAL,
  "he_normal": nnx.initializers.he_normal(),
}


@dataclasses.dataclass(frozen=True)
class LayerDefaults:
  """Options that the layers of a network share.

  Attributes:
    weight, act: binarizers of kernels and inputs.
    dtype: of the computation.
    momentum, epsilon: of the norms.
    norm: spec of the norms, see `bnnjax.layers.norm.make`.
    init: initializer of the kernels, a key of `INITS`.
  """

  weight: Spec = "ste"
  act: Spec = "ste"
  dtype: Any = None
  momentum: float = 0.9
  epsilon: float = 1e-5
  norm: str = "batch"
  init: str = "lecun_normal"

  @property
  def initializer(self) -> nnx.Initializer:
    """Of the kernels.

    Raises:
      ValueError: unknown `init`.
    """
    return registry.pick("initializer", self.init, INITS)

  def with_operands(self, weight: Spec, act: Spec) -> "LayerDefaults":
    """A copy with other binarizers; `None, None` is float."""
    return dataclasses.replace(self, weight=weight, act=act)

  @property
  def takes_signs(self) -> bool:
    """Whether inputs become {-1, +1}: a sign after ReLU would be constant."""
    act = parse(self.act, "act")
    return act is not None and -1 in (act.estimator.alphabet or ())

  def conv(
    self, in_features: int, out_features: int, window, **options: Any
  ) -> Conv:
    """A convolution without bias; `options` as in `Conv`."""
    return Conv(
      in_features,
      out_features,
      window,
      weight=self.weight,
      act=self.act,
      dtype=self.dtype,
      use_bias=False,
      kernel_init=self.initializer,
      **options,
    )

  def make_norm(
    self, features: int, *, rngs: nnx.Rngs, **options: Any
  ) -> nnx.Module:
    """A norm; `options` are those of its kind."""
    return norm_lib.make(
      self.norm,
      features,
      momentum=self.momentum,
      epsilon=self.epsilon,
      dtype=self.dtype,
      rngs=rngs,
      **options,
    )


class Gate(nnx.Module):
  """Channel factors computed from the input of a convolution.

  Training Binary Neural Networks with Real-to-Binary Convolutions, Martinez et
  al., ICLR 2020, sec. 4.3: `sigmoid(W2 relu(W1 mean(x)))`, float.

  Args:
    in_features, out_features: channels before and after the convolution.
    reduction: hidden features are `in_features / reduction`.
    dtype: of the computation.
    rngs: random numbers.
  """

  def __init__(
    self,
    in_features: int,
    out_features: int,
    *,
    reduction: int = 8,
    dtype: Any = None,
    rngs: nnx.Rngs,
  ):
    if in_features < reduction:
      raise ValueError(
        f"A gate divides its channels by {reduction}: got only {in_features}."
      )
    hidden = in_features // reduction
    self.reduce = Linear(
      in_features,
      hidden,
      use_bias=False,
      dtype=dtype,
      parallel="row",
      rngs=rngs,
    )
    self.expand = Linear(
      hidden, out_features, use_bias=False, dtype=dtype, rngs=rngs
    )

  def __call__(self, x: jax.Array, mode: Mode | None = None) -> jax.Array:
    """`[N, H, W, in_features] -> [N, 1, 1, out_features]`."""
    z = jnp.mean(x, axis=(1, 2), keepdims=True)
    return jax.nn.sigmoid(self.expand(jax.nn.relu(self.reduce(z, mode)), mode))


STEPS = (
  "conv",
  "norm",
  "gate",
  "shift",
  "max_pool",
  "avg_pool",
  "blur",
  *ACTIVATIONS,
)


class Unit(nnx.Module):
  """One convolution and its surroundings, in the order given.

  `Unit("conv norm", ...)` is Bi-Real Net's, `"norm conv"` BinaryDenseNet's,
  `"conv relu norm"` QuickNet's, `"shift conv norm"` ReActNet's,
  `"norm conv gate prelu"` Real-to-Binary's.

  Args:
    order: words of `STEPS`. A gate computes its factors from the input of the
      convolution.
    in_features, out_features: channels.
    kernel: window, one number for both axes.
    defaults: binarizers, dtype and norm.
    strides, groups, dilation, padding, pad_value: of the convolution.
    pool: window and stride of a pool.
    pool_padding: `"SAME"` or `"VALID"`.
    norm: further options of the norms.
    rngs: random numbers.

  Raises:
    ValueError: an unknown word in `order`.
  """

  def __init__(
    self,
    order: str,
    in_features: int,
    out_features: int,
    kernel: int = 3,
    *,
    defaults: LayerDefaults,
    strides: int = 1,
    groups: int = 1,
    dilation: int = 1,
    padding: str = "SAME",
    pad_value: int = 0,
    pool: tuple[int, int] = (2, 2),
    pool_padding: str = "SAME",
    norm: Mapping[str, Any] | None = None,
    rngs: nnx.Rngs,
  ):
    convolution = {
      "strides": strides,
      "groups": groups,
      "dilation": dilation,
      "padding": padding,
      "pad_value": pad_value,
    }
    steps, features = [], in_features
    for step in order.split():
      if step == "conv":
        window = (kernel, kernel)
        layer = defaults.conv(
          in_features, out_features, window, rngs=rngs, **convolution
        )
        features = out_features
      elif step == "norm":
        layer = defaults.make_norm(features, rngs=rngs, **(norm or {}))
      elif step == "gate":
        layer = Gate(in_features, out_features, dtype=defaults.dtype, rngs=rngs)
      elif step == "shift":
        layer = LearnedShift(features)
      elif step in ("max_pool", "avg_pool"):
        layer = Pool(step.removesuffix("_pool"), *pool, pool_padding)
      elif step == "blur":
        layer = BlurPool(features)
      elif step in ACTIVATIONS:
        layer = activation(step, features)
      else:
        raise registry.unknown("step of a unit", step, STEPS)
      # Attributes named after steps, `norm` and then `norm_2`: paths of
      # variables say what a layer is.
      times = 1 + sum(step == earlier for earlier, _ in steps)
      name = step if times == 1 else f"{step}_{times}"
      setattr(self, name, layer)
      steps.append((step, name))
    self.steps = tuple(steps)

  def __call__(self, x: jax.Array, mode: Mode | None = None) -> jax.Array:
    """`[N, H, W, in_features] -> [N, H', W', out_features]`."""
    entering = x
    for step, name in self.steps:
      layer = getattr(self, name)
      if step == "gate":
        x = x * layer(entering, mode)
        continue
      if step == "conv":
        entering = x
      x = layer(x, mode)
    return x


__getattr__ = deprecated.old_names(
  __name__,
  {
    "Body": "bnnjax.layers.blocks.LayerDefaults",
    "Function": "bnnjax.layers.activations.Function",
    "identity": "bnnjax.layers.activations.identity",
  },
)
