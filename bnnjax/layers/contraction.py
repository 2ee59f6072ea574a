"""Base classes of layers with a kernel: binarizers, a contraction, a bias."""

from collections.abc import Callable, Sequence
from typing import Any, TypedDict, Unpack

import jax
import jax.numpy as jnp
from flax import nnx
from jax import lax

from bnnjax.core import gradient_quantizer
from bnnjax.core import method as method_lib
from bnnjax.core.arguments import checked
from bnnjax.core.binarizer import Binarizer
from bnnjax.core.quantized import Quantized
from bnnjax.core.quantized_check import fits
from bnnjax.layers import checks, output_scale, partition
from bnnjax.layers import geometry as geometry_lib
from bnnjax.layers.binarize import Binarize
from bnnjax.layers.collection_point import CollectionPoint
from bnnjax.layers.mode import (
  ModeAware,
  mode_of,
  step_key,
  warn_if_differentiated,
)
from bnnjax.layers.variables import TrainingRng, weight_variable
from bnnjax.layers.weight_module import (
  as_weight_module,
  check_returns_quantized,
)

Spec = str | Binarizer | None
LECUN_NORMAL = nnx.initializers.lecun_normal()


class Options(TypedDict, total=False):
  """Keyword arguments that the layers share.

  Attributes:
    weight, act: binarizers of kernel and input: a spec string, a `Binarizer`
      or `None` (default) for float. The name of a method as `weight` also sets
      that method's `output` and `grad`. Instead of a binarizer of a latent
      kernel, `weight` may be the weight itself: a `Quantized`, or a module that
      returns one, such as `QuantizedWeight`.
    prepare: `(x, mode) -> (x, factor)`, a module or a function. It transforms
      the input before `act` and may compute a factor of the output from it
      (`None` for none), as token-adaptive scales do (BinaryMoS). A subclass may
      define it as a method.
    output: scale of the output, see `bnnjax.layers.output_scale`.
    grad: quantizer of the gradient of the output, in training only; see
      `bnnjax.core.gradient_quantizer`.
    use_bias: whether a bias is added (default).
    dtype: of the computation; by default that of input and kernel.
    param_dtype: of the stored parameters, float32 by default.
    kernel_init, bias_init: initializers; LeCun normal and zeros by default.
    precision: as in `jax.lax.dot_general`.
    parallel: how devices shard the kernel: `"column"` (default), along the
      output; `"row"`, along the contracted axis, right behind a column-parallel
      layer. See `bnnjax.train.sharding`.
  """

  weight: Spec | Quantized | nnx.Module
  act: Spec
  prepare: Callable[..., tuple[jax.Array, jax.Array | None]] | None
  output: str | None
  grad: str | None
  use_bias: bool
  dtype: Any
  param_dtype: Any
  kernel_init: nnx.Initializer
  bias_init: nnx.Initializer
  precision: lax.PrecisionLike
  parallel: str


class WindowOptions(Options, total=False):
  """Keyword arguments of layers whose window moves, beside `Options`.

  Attributes:
    strides, dilation: one number for all spatial axes, or one per axis; 1 by
      default.
    padding: `"SAME"` (default), `"VALID"`, a number of elements on every side,
      or for each axis a number or a pair (as in flax). Negative numbers crop.
    groups: feature groups, 1 by default.
  """

  strides: int | Sequence[int]
  padding: str | int | Sequence[int | tuple[int, int]]
  dilation: int | Sequence[int]
  groups: int


class Finish(ModeAware, CollectionPoint):
  """What follows a contraction: scale of the output, bias, gradient quantizer.

  Attributes:
    output: module of the scale, or `None`.
    bias: parameter `[out_features]`, or `None`.
    grad: quantizer of the gradient of the output, or `None`.
  """

  bias = None

  def _set_finish(
    self,
    made: Binarizer | None,
    features: int,
    output: str | None,
    grad: str | None,
    geometry: geometry_lib.Geometry | None,
    rngs: nnx.Rngs,
  ) -> None:
    """Sets output scale and gradient quantizer; a method brings its own.

    Args:
      made: binarizer of the weight.
      features: of the output.
      output, grad, geometry: as in `Options`; those given come first.
      rngs: random numbers; the key `params` is used.
    """
    own = method_lib.layer_options(made.method) if made is not None else {}
    self.output = output_scale.parse(
      output or own.get("output"), features, geometry
    )
    self.grad = gradient_quantizer.parse(grad or own.get("grad"))
    if self.grad is not None:
      self.grad_key = TrainingRng(jax.random.key_data(rngs.params()))

  def _finish(self, y, x, given, differs, factor=None):
    mode = mode_of(self, given)
    if factor is not None:
      y = _scaled(y, factor)
    if self.output is not None:
      y = (y * self.output(x, y, mode)).astype(y.dtype)
    if self.bias is not None:
      y = y + self.bias[...].astype(y.dtype)
    if self.grad is not None:
      name = f"the gradient quantizer {self.grad.quantizer.name!r}"
      if mode.train:
        told = name if given is None else ""
        y = self.grad(y, step_key(self.grad_key, mode, told))
      elif given is None:
        differs = differs or name
    return warn_if_differentiated(differs, y) if differs else y


class Contraction(Finish):
  """A kernel, two binarizers, a bias: the base of `Linear` and `Conv`."""

  prepare = None

  @checked
  def __init__(
    self,
    shape: tuple[int, ...],
    features: tuple[int, int],
    *,
    weight: Any = None,  # a `Spec`, which `parse` checks
    act: Any = None,
    prepare: Any = None,
    output: str | None = None,
    grad: str | None = None,
    geometry: geometry_lib.Geometry | None = None,
    use_bias: bool = True,
    dtype: Any = None,
    param_dtype: Any = jnp.float32,
    kernel_init: nnx.Initializer = LECUN_NORMAL,
    bias_init: nnx.Initializer = nnx.initializers.zeros,
    precision: lax.PrecisionLike = None,
    parallel: str = "column",
    rngs: nnx.Rngs,
  ):
    checks.check_precision(precision)
    checks.check_array(f"The kernel of {type(self).__name__}", shape)
    made = None
    home = as_weight_module(weight)
    if home is None:
      kernel = kernel_init(rngs.params(), shape, param_dtype)
      self.weight = Binarize(weight, "weight", kernel, rngs, parallel=parallel)
      made = self.weight.binarizer
      self.kernel = weight_variable(kernel, made, parallel)
    else:
      check_returns_quantized(type(self).__name__, home, shape)
      self.weight, self.kernel = home, None
      partition.mark(home, parallel)
    if prepare is not None:
      if not callable(prepare):
        raise TypeError(
          f"`prepare` must be a function or a module, called as `prepare(x,"
          f" mode)`, got {prepare!r}."
        )
      self.prepare = prepare
    like = jax.ShapeDtypeStruct(
      (1,) * (len(shape) - 1) + (features[0],), param_dtype
    )
    self.act = Binarize(act, "act", like, rngs, parallel=parallel)
    checks.check_keeps_shape(self.act, like)
    self.bias = (
      nnx.Param(bias_init(rngs.params(), (features[1],), param_dtype))
      if use_bias
      else None
    )
    self._set_finish(made, features[1], output, grad, geometry, rngs)
    self.in_features, self.out_features = features
    self.dtype, self.precision = dtype, precision

  def _operands(self, x, mode):
    """Activations and kernel, quantized in the dtype of the computation.

    The third result names what would compute differently in training, see
    `Binarize.quantize`.
    """
    kernel = self.weight(mode) if self.kernel is None else self.kernel[...]
    dtype = self.dtype or jnp.result_type(x, kernel.dtype)
    a, differs = self.act.quantize(self.observe(x).astype(dtype), mode)
    w, also = kernel.astype(dtype), ""
    if self.kernel is not None:
      w, also = self.weight.quantize(w, mode)
    return a, w, differs or also

  def _prepared(self, x, mode):
    """The input to contract, and a factor of the output or `None`."""
    if self.prepare is None:
      return x, None
    got = self.prepare(x, mode)
    if not isinstance(got, tuple) or len(got) != 2 or got[0] is None:
      raise TypeError(
        f"`prepare` of {type(self).__name__} must return the input and a factor"
        f" of the output (or None), got {type(got).__name__}."
      )
    made, factor = got
    if made.shape != x.shape:
      raise ValueError(
        f"`prepare` of {type(self).__name__} must keep the shape of the input,"
        f" {x.shape}: got {made.shape}."
      )
    return made, factor

  def _check(self, x, ndim: int | None):
    name = type(self).__name__
    if not hasattr(x, "dtype"):
      raise TypeError(f"{name} takes an array, got {type(x).__name__}.")
    if jnp.issubdtype(x.dtype, jnp.complexfloating):
      raise TypeError(f"{name} takes real numbers, got {x.dtype}.")
    if ndim is not None and x.ndim != ndim:
      raise ValueError(
        f"{name} takes `[batch, {ndim - 2} spatial axes, channels]`, got shape"
        f" {x.shape}."
      )
    if x.ndim < 1 or x.shape[-1] != self.in_features:
      raise ValueError(
        f"{name} was built for {self.in_features} input features, got"
        f" {x.shape[-1] if x.ndim else 'a scalar'} (shape {x.shape})."
      )


def _scaled(y, factor):
  """The output times the factor that `prepare` returned."""
  if not fits(jnp.shape(factor), y.shape):
    raise ValueError(
      f"The factor of `prepare` must broadcast to the output {y.shape}, got"
      f" shape {jnp.shape(factor)}."
    )
  return (y * factor).astype(y.dtype)


class Windowed(Contraction):
  """A contraction over a window that moves along spatial axes.

  Args:
    in_features, out_features: channels before and after.
    kernel_size: window; its length is the number of spatial axes.
    strides, padding, dilation, groups: see `WindowOptions`.
    rngs: random numbers; the key `params` is used.
    **options: the keywords of `Options`.
  """

  def __init__(
    self,
    in_features: int,
    out_features: int,
    kernel_size: int | Sequence[int],
    *,
    strides: int | Sequence[int] = 1,
    padding: str | int | Sequence[int | tuple[int, int]] = "SAME",
    dilation: int | Sequence[int] = 1,
    groups: int = 1,
    rngs: nnx.Rngs,
    **options: Unpack[Options],
  ):
    window = geometry_lib.read_window(kernel_size)
    features, groups = geometry_lib.read_groups(
      in_features, out_features, groups
    )
    self.window, self.groups = window, groups
    self.strides = geometry_lib.per_axis("strides", strides, window)
    self.dilation = geometry_lib.per_axis("dilation", dilation, window)
    self.padding = geometry_lib.read_padding(padding, window)
    super().__init__(
      (*window, features[0] // groups, features[1]),
      features,
      geometry=self.geometry,
      rngs=rngs,
      **options,
    )

  @property
  def geometry(self) -> geometry_lib.Geometry:
    """Window, strides, padding and dilation."""
    return geometry_lib.Geometry(
      self.window, self.strides, self.padding, self.dilation
    )
