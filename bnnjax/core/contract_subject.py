"""The binarizer that `bx.check` examines, and the tensors it is given."""

import dataclasses
import functools
import math
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from bnnjax.core import registry
from bnnjax.core.binarizer import Binarizer
from bnnjax.core.bits import ROLES
from bnnjax.core.estimator import Estimator
from bnnjax.core.method import Method
from bnnjax.core.progress import DEPLOYED, Mode, Progress
from bnnjax.core.schedule import resolve
from bnnjax.core.spec import parse
from bnnjax.errors import UserError

DTYPES = (jnp.float32, jnp.bfloat16, jnp.float16)
STEPS = 10  # of the run in which gradients are taken
# Where formulas break: at 0, at the usual edges of a window, far outside.
POINTS = (0.3, -0.3, 0.0, -0.0, 1.0, -1.0, 3.0, -3.0, 1e-6, -1e-6, 1e4, -1e4)
# 1e-40 is subnormal, exp(88) is nearly the largest float32.
EXTREMES = (0.0, -0.0, 1e-40, -1e-40, 1e-30, -1e-30, 88.0, -88.0, 1e30, -1e30)


@dataclasses.dataclass(frozen=True, eq=False)
class Subject:
  """A binarizer with its variables, for tensors of one shape.

  Attributes:
    made: the binarizer.
    shape: of the tensors.
  """

  made: Binarizer
  shape: tuple[int, ...]

  @property
  def estimator(self) -> Estimator:
    return self.made.estimator

  @functools.cached_property
  def x(self) -> jax.Array:
    """`POINTS`, then normal numbers."""
    size = math.prod(self.shape)
    normal = np.random.default_rng(0).normal(size=size)
    values = np.concatenate([POINTS, normal])[:size]
    return jnp.asarray(values.reshape(self.shape), jnp.float32)

  @functools.cached_property
  def variables(self) -> tuple[dict, dict]:
    """Parameters and statistics; activations have no tensor to start from."""
    like = jax.ShapeDtypeStruct(self.shape, jnp.float32)
    return self.made.init(self.x if self.made.role == "weight" else like)

  @property
  def own(self) -> dict[str, jax.Array]:
    """Parameters that the deployed estimator has."""
    return {} if self.estimator.training_only else self.variables[0]

  def hyper(self, mode: Mode = DEPLOYED) -> dict[str, Any]:
    """Hyper-parameters of the estimator."""
    return resolve(self.made.estimator_hp, mode)

  def filled(self, values, dtype) -> list[jax.Array]:
    """Tensors that hold these values, cut to what the dtype holds."""
    size, largest = math.prod(self.shape), float(jnp.finfo(dtype).max)
    values = np.clip(np.asarray(values), -largest, largest)
    count = -(-len(values) // size)
    padded = np.concatenate([values, np.full(count * size - len(values), 0.5)])
    parts = padded.reshape(count, *self.shape)
    return [jnp.asarray(part).astype(dtype) for part in parts]

  def value(self, x: jax.Array, scale: Any = 1.0) -> np.ndarray:
    """Values of the deployed estimator, without its transform and scale."""
    made = self.estimator.value(x, scale, self.own, **self.hyper())
    return np.asarray(made.astype(jnp.float32))

  def slope(self, x: jax.Array, mode: Mode, scale: Any = 1.0) -> jax.Array:
    """Gradient of the sum of the estimator, without its transform and scale."""
    hp, params = self.hyper(mode), self.variables[0]
    _, vjp = jax.vjp(
      lambda x: self.estimator(x, scale=scale, params=params, **hp), x
    )
    return vjp(jnp.ones(x.shape, x.dtype))[0]

  def dequantized(self, x: jax.Array, mode: Mode = DEPLOYED, params=None):
    """What a layer receives."""
    given, stats = self.variables
    params = given if params is None else params
    return self.made.apply(x, params, stats, mode)[0].dequantize()

  def differentiated(self, x: jax.Array, params, progress: Progress):
    """Output and gradients of a training step."""

    def apply(x, params):
      return self.dequantized(x, Mode.training(progress), params)

    y, vjp = jax.vjp(apply, x, params)
    dy = jnp.cos(jnp.arange(y.size)).reshape(y.shape).astype(y.dtype)
    return y, *vjp(dy)

  @functools.cached_property
  def step(self):
    """`differentiated`, compiled."""
    return jax.jit(self.differentiated)


def at(step: int) -> Progress:
  """A position in the run in which gradients are taken."""
  return Progress.at(step, STEPS, 5.0)


def subjects(
  given: Any, role: str | None, shape: tuple[int, ...] | None
) -> list[Subject]:
  """The binarizers that a spec, an estimator or a method stands for.

  Raises:
    TypeError: it is none of these, or `shape` holds no whole numbers.
    ValueError: it cannot be read, or binarizes nothing.
  """
  if role is not None:
    registry.check_names("role", [role], ROLES)
  if shape is not None:
    shape = _read_shape(shape)
  return [Subject(made, shape or _shape(made)) for made in _made(given, role)]


def _made(given: Any, role: str | None) -> list[Binarizer]:
  if isinstance(given, Binarizer):
    return [parse(given, role or given.role)]
  if isinstance(given, Estimator):
    return [Binarizer(given, role=role or "act")]
  if isinstance(given, Method):
    given = given.name
  if not isinstance(given, str):
    raise TypeError(
      "`check` takes a spec such as 'ste|channel_l1', an Estimator, a Binarizer"
      f" or a method, got {given!r}. `@bx.estimator` makes an Estimator of a"
      " function."
    )
  if given.strip() in registry.registered("method"):
    both = [parse(given, r) for r in ((role,) if role else ROLES)]
    made = [binarizer for binarizer in both if binarizer is not None]
  else:
    made = [_of_spec(given, role)]
  if not made or made == [None]:
    where = f" for the role {role!r}" if role else ""
    raise UserError(f"{given!r} binarizes nothing{where}: nothing to check.")
  return made


def _of_spec(spec: str, role: str | None) -> Binarizer | None:
  """Of activations if the estimator stands alone, else of weights if it can.

  More is asked of activations: an example must not depend on its batch.
  """
  if role is not None:
    return parse(spec, role)
  try:
    made = parse(spec, "weight")
  except ValueError as error:
    try:
      return parse(spec, "act")
    except ValueError:
      raise error from None
  if made is not None and made.scale is None and made.transform is None:
    return dataclasses.replace(made, role="act")
  return made


def _shape(made: Binarizer) -> tuple[int, ...]:
  """A small matrix whose rows divide into groups."""
  return (max(made.kind.group, 8), 8)


def _read_shape(shape: Any) -> tuple[int, ...]:
  whole = isinstance(shape, (tuple, list)) and all(
    isinstance(n, int) and not isinstance(n, bool) and n > 0 for n in shape
  )
  if not whole or len(shape) < 1:
    raise TypeError(
      f"`shape` is a tuple of whole numbers such as (8, 8), got {shape!r}."
    )
  return tuple(shape)
