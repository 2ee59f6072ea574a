"""Zeros, NaN and dtypes, for every estimator x scale x transform x role.

Iterates over the registry; nothing is compiled, tensors are tiny.
"""

import itertools
import random

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from bnnjax.core import registry
from bnnjax.core.bits import ROLES
from bnnjax.core.progress import DEPLOYED, Mode, Progress
from bnnjax.core.scale import GRADIENTS
from bnnjax.core.spec import parse

ESTIMATORS = registry.registered("estimator")
SCALES = [None, *registry.registered("scale")]
TRANSFORMS = [None, *registry.registered("transform")]
DTYPES = (jnp.float32, jnp.bfloat16, jnp.float16)
MODES = (DEPLOYED, Mode.training(Progress.at(3, 10, 1.0)))
# What a part needs here: groups that divide, a start without a tensor.
ARGUMENTS = {
  "group_l1": "(size=4)",
  "group_max": "(size=4)",
  "learned": "(init=1.0)",
  "ksh": "(bits=6, anchors=2)",
}

# What a binarizer says of parts that do not go together.
REFUSED = ("made for the role", "has no rule for its scale", "in no gradient")


def tensors(rank=2):
  """All zeros; and zero rows and columns among ordinary numbers."""
  x = np.random.default_rng(0).normal(size=(8, 6)).astype(np.float32)
  x[:, 2], x[3] = 0, -0.0
  x[0, 0], x[1, 1], x[5, 5] = 1e-40, -30, 30
  shape = (8, 6) if rank == 2 else (1, 8, 1, 6)
  return [jnp.asarray(a.reshape(shape)) for a in (0 * x, x)]


def named(name):
  return None if name is None else name + ARGUMENTS.get(name, "")


def made_of(estimator, scale, transform, role, gradient=None):
  """The binarizer, or `None` where the parts do not go together."""
  spec = estimator
  if transform is not None:
    spec = f"{named(transform)} > {spec}"
  if scale is not None:
    spec = f"{spec}|{named(scale)}"
  try:
    return parse(spec, role, gradient=gradient)
  except ValueError as error:
    if not any(text in str(error) for text in REFUSED):
      raise
    return None


def combinations(estimator):
  """Each scale and each transform; all else is drawn, the dtype once."""
  draw = random.Random(estimator).choice
  dtype = draw(DTYPES)  # another one is another program of every operation
  pairs = [(s, None) for s in SCALES]
  pairs += [("channel_l1", t) for t in TRANSFORMS]
  for scale, transform in pairs:
    role, gradient = draw(ROLES), draw((None, *GRADIENTS))
    options = itertools.product(
      (role, *ROLES), (gradient, None), (scale, None)
    )  # what was drawn, or what goes with this estimator
    tried = (
      made_of(estimator, chosen, transform, role, gradient)
      for role, gradient, chosen in options
    )
    made = next((t for t in tried if t is not None), None)
    if made is not None and not clashes(made):
      yield made, 4 if transform == "ksh" else 2, dtype, draw(MODES)


def clashes(made):
  """A transform and a scale that both have a shift: refused by `init`."""
  names = [part and part.name for part in (made.transform, made.scale)]
  return names == ["shift", "affine"]


@pytest.mark.parametrize("estimator", ESTIMATORS)
def test_zeros_are_finite_nans_are_handed_on_dtypes_are_kept(estimator):
  tried = 0
  for made, rank, dtype, mode in combinations(estimator):
    zeros, x = (t.astype(dtype) for t in tensors(rank))
    variables = made.init(x)
    check_finite(made, zeros, *made.init(zeros), mode)
    check_finite(made, x, *variables, mode)
    check_nan(made, x, *variables, mode)
    tried += 1
  assert tried > 20


@pytest.mark.parametrize("method", registry.registered("method"))
@pytest.mark.parametrize("dtype", DTYPES)
def test_presets_are_finite_on_zeros_and_constants(method, dtype):
  for role in ROLES:
    made = parse(method, role)
    for value in (0.0, 0.1):  # a constant channel is not quite centred
      x = jnp.full((8, 6), value, dtype)
      if made is not None:
        check_finite(made, x, *made.init(x), MODES[1])


def check_finite(made, x, params, stats, mode):
  """Values, and gradients to the tensor and to every parameter."""

  def apply(x, params):
    return made.apply(x, params, stats, mode)[0].dequantize()

  y, vjp = jax.vjp(apply, x, params)
  dx, dparams = vjp(jnp.cos(jnp.arange(y.size, dtype=y.dtype)).reshape(y.shape))
  label = (made, x.dtype, mode.train)
  assert y.dtype == x.dtype == dx.dtype, label
  assert np.all(np.isfinite(y)), (label, y)
  assert np.all(np.isfinite(dx)), (label, dx)
  for name, d in dparams.items():
    assert d.dtype == params[name].dtype, (label, name)
    assert np.all(np.isfinite(d)), (label, name)


def check_nan(made, x, params, stats, mode):
  """What is not a number does not become a sign; infinity does."""
  at = (0,) * (x.ndim - 1)
  broken = x.at[(*at, 3)].set(jnp.nan)
  y = made.apply(broken, params, stats, mode)[0].dequantize()
  assert np.any(np.isnan(y[at])), (made, x.dtype, mode.train)
  if y.shape == x.shape:
    assert np.isnan(y[(*at, 3)]), (made, x.dtype, mode.train)
  if made.scale is None and made.transform is None:
    value = made.apply(x.at[(*at, 3)].set(jnp.inf), params, stats)[0]
    top = value.terms[0].value[(*at, 3)]
    assert top > 0 or made.estimator.name == "biper", "no sine of infinity"
