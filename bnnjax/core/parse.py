"""From a short string to a binarizer.

[transform(k=v) > ] estimator(k=v) [ | scale(k=v)]      or a method's name

A value may be a schedule: "ede(t=geometric(start=0.1, end=10.0))".
"""

import dataclasses
from typing import Any

from bnnjax.core import group_scale, registry, uniform  # noqa: F401 (register)
from bnnjax.core import spec as spec_lib
from bnnjax.core.binarizer import ROLES, Binarizer
from bnnjax.core.estimator import FLOAT

PRESETS = ("weight", "act", "embedding")  # fields of `core.method.Method`


def parse(
  spec: "str | Binarizer | None",
  role: str,
  *,
  preset: str | None = None,
  **options: Any,
):
  """Reads a spec string.

  Args:
    spec: `"ste"`, `"ste(clip=1.25)|channel_l1"`, `"center > ste | tensor_l1"`, a
      method's name (its preset for this role), or a `Binarizer`; `None` and
      `"float"` mean no binarization, `"standardize > float"` a transform alone.
    role: `"weight"` or `"act"`.
    preset: which preset a method's name means, that of the role by default;
      `"embedding"` for a word embedding.
    **options: fields of the `Binarizer` (`gradient`, `measure`, `start`, `tag`)
      that override the preset's.

  Returns:
    `Binarizer` or `None`.

  Raises:
    ValueError: an unknown name, with the nearest one; or bad syntax.
    TypeError: neither a string nor a binarizer.

  Example:
    >>> parse("ste|channel_l1", "weight").scale.name
    'channel_l1'
  """
  for name, given in (("role", role), ("preset", preset)):
    if given is not None and not isinstance(given, str):
      raise TypeError(f"`{name}` must be a string, got {given!r}.")
  if role not in ROLES:
    raise registry.unknown("role", role, ROLES)
  if preset not in (None, *PRESETS):
    raise registry.unknown("preset", preset, PRESETS)
  if spec is None or (isinstance(spec, str) and spec == "float"):
    return None
  fields = [f.name for f in dataclasses.fields(Binarizer)]
  for name in options:
    if name not in fields:
      raise registry.unknown("option of a binarizer", name, fields)
  if isinstance(spec, Binarizer):
    return dataclasses.replace(spec, role=role, **options)
  if not isinstance(spec, str):
    raise TypeError(
      f"A {role} binarizer is a spec string, a Binarizer or None, got {spec!r}."
    )
  if spec.strip() in registry.registered("method"):
    method = registry.get("method", spec.strip())
    chosen = getattr(method, preset or role)
    if chosen.spec is None:  # a method that has none of its own
      chosen = getattr(method, role)
    spec, options = chosen.spec, {**dict(chosen.options), **options}
    if role == "weight" and preset is None:
      options = {"method": method.name, **options}
    if spec is None:
      return None
  head, bar, scale = spec.partition("|")
  transform, arrow, estimator = head.rpartition(">")
  parts: dict[str, Any] = {}
  if estimator.strip() == "float":
    parts["estimator"], estimator = FLOAT, ""
  for kind, text in (
    ("transform", transform),
    ("estimator", estimator),
    ("scale", scale),
  ):
    if text.strip():
      also = registry.registered("method") if kind == "estimator" else ()
      parts[kind], parts[f"{kind}_hp"] = spec_lib.part(kind, text, spec, also)
  for sign, kind in ((arrow, "transform"), (bar, "scale")):
    if sign and kind not in parts:
      raise ValueError(f"Spec {spec!r} has {sign!r}, but names no {kind}.")
  if "estimator" not in parts:
    raise ValueError(f"Spec {spec!r} names no estimator.")
  return Binarizer(role=role, **parts, **options)
