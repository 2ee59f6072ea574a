"""Checks of a `Binarizer`: its parts, role and hyper-parameters fit."""

from typing import Any

from bnnjax.core import registry
from bnnjax.core.bits import ROLES
from bnnjax.core.estimator import Estimator
from bnnjax.core.progress import to_step
from bnnjax.core.scale import GRADIENTS, Scale, Variables
from bnnjax.core.transform import Transform

_PARTS = {"estimator": Estimator, "scale": Scale, "transform": Transform}


def check(made: Any) -> None:
  """Reads the hyper-parameters of a new `Binarizer` and checks its parts.

  Raises:
    TypeError: a part of another type.
    ValueError: an unknown choice, or parts that do not fit together.
  """
  for kind in ("estimator", "scale", "transform"):
    _check_part(made, kind, getattr(made, kind))
  made.kind  # noqa: B018 (raises if the width is not one of a tag)
  if to_step(made.start, 1) > 2**31 - 1:
    raise ValueError(f"`start` is more than an int32 counts: {made.start}.")
  if made.gradient is not None and made.gradient not in GRADIENTS:
    raise registry.unknown("scale gradient", made.gradient, GRADIENTS)
  if made.measure not in ("latent", "transformed"):
    raise registry.unknown("measure", made.measure, ("latent", "transformed"))
  if made.is_float and made.scale is not None:
    raise ValueError(f"A float tensor takes no scale, got {made.scale.name!r}.")
  if made.scale_gradient == "estimator" and made.estimator.scale_slope is None:
    raise ValueError(
      f"Estimator {made.estimator.name!r} has no rule for its scale's"
      " gradient: use an estimator that has one (elastic, elastic_cut), or a"
      " gradient of 'none', 'multiply' or 'full'."
    )
  if made.estimator.step is not None and made.scale_gradient != "none":
    raise ValueError(
      f"The grid of estimator {made.estimator.name!r} depends on its scale,"
      f" which takes part in no gradient; got gradient={made.scale_gradient!r}"
      + (f" of scale {made.scale.name!r}." if made.scale else ".")
    )
  if made.role not in ROLES:
    raise registry.unknown("role", made.role, ROLES)


def _check_part(made: Any, kind: str, part: Any) -> None:
  """Reads the hyper-parameters of a part, and checks its type and role."""
  if part is None and kind != "estimator":
    return
  if not isinstance(part, _PARTS[kind]):
    raise TypeError(
      f"`{kind}` of a Binarizer is of type {_PARTS[kind].__name__}, such as"
      f" `registry.get({kind!r}, name)`, got {part!r}. `bx.parse` reads specs."
    )
  given = getattr(made, f"{kind}_hp")
  if not _are_pairs(given):
    raise TypeError(
      f"`{kind}_hp` of a Binarizer are pairs (name, value), got {given!r}."
    )
  read = registry.check_hyper(kind, part, dict(given))
  object.__setattr__(made, f"{kind}_hp", tuple(read.items()))
  roles = getattr(part, "roles", ROLES)
  if made.role in ROLES and made.role not in roles:
    names = (n for n in registry.registered(kind) if n != part.name)
    fit = [n for n in names if made.role in registry.get(kind, n).roles]
    raise ValueError(
      f"{kind.capitalize()} {part.name!r} is made for the role {roles[0]!r},"
      f" got {made.role!r}, which has: {', '.join(fit)}."
    )


def joined(old: Variables, new: Variables) -> Variables:
  """Variables of two parts of a binarizer.

  Raises:
    ValueError: both have one of the same name.
  """
  if both := sorted(old.keys() & new.keys()):
    raise ValueError(
      f"Two parts of a binarizer have a variable {both[0]!r}: leave one out, e.g."
      " the transform 'shift' before a scale that has a shift of its own"
      " ('affine')."
    )
  return {**old, **new}


def _are_pairs(given: Any) -> bool:
  return isinstance(given, (tuple, list)) and all(
    isinstance(p, (tuple, list)) and len(p) == 2 and isinstance(p[0], str)
    for p in given
  )
