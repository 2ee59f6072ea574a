r"""Which layers of a network are binarized, and how: rules by path.

  rules = {
    "encoder.stem": None,  # stays float
    r".*attention\.(query|key)": {"weight": "ste|channel_l1", "act": "ste"},
    ".*": "reactnet",  # a method: its weights, activations and output scale
  }

A key is a regular expression for the whole dotted path of a layer. The first
rule that matches a path applies to it.
"""

import dataclasses
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from bnnjax import errors
from bnnjax.core import registry
from bnnjax.core import spec as spec_lib
from bnnjax.core.binarizer import Binarizer
from bnnjax.errors import UserError

Spec = str | Binarizer | None


@dataclasses.dataclass(frozen=True)
class Rule:
  """How a layer is binarized; by default not at all.

  Attributes:
    weight, act: binarizers of kernel and input: a spec, or `None` for float.
    output: scale of the output, see `bnnjax.layers.output_scale`.
    grad: quantizer of the gradient, see `bnnjax.core.gradient_quantizer`.
  """

  weight: Spec = None
  act: Spec = None
  output: str | None = None
  grad: str | None = None

  @property
  def is_float(self) -> bool:
    """Whether the layer stays as it is."""
    return self == Rule()


@dataclasses.dataclass(frozen=True)
class Assigned:
  """The rule of a layer, and the key under which it was given."""

  key: str
  rule: Rule

  def names(self, path: str) -> bool:
    """Whether the key is the path itself, not a pattern that matches it."""
    return self.key == path


def read(rules: Mapping[str, Any]) -> dict[str, Rule]:
  """Checks rules: `None`, a method's name, or the fields of a `Rule`.

  Raises:
    UserError: a key is no regular expression, or a value is none of these.
  """
  if not isinstance(rules, Mapping) or not rules:
    raise UserError(
      "`rules` must map paths of layers to methods, e.g. {'.*': 'reactnet'}: got"
      f" {rules!r:.80}."
    )
  return {_key(key): _rule(key, value) for key, value in rules.items()}


def _key(key: Any) -> str:
  if not isinstance(key, str):
    raise UserError(
      f"A key of `rules` must be a path or a pattern, e.g. 'head': got {key!r}."
    )
  try:
    re.compile(key)
  except re.error as error:
    raise UserError(
      f"The key {key!r} of `rules` is no regular expression: {error}."
    ) from error
  return key


def _rule(key: str, value: Any) -> Rule:
  if isinstance(value, Rule):
    made = value
  elif value is None:
    made = Rule()
  elif isinstance(value, str):
    if value not in registry.registered("method"):
      nearest = errors.nearest(value, registry.registered("method"))
      raise UserError(
        f"The rule {key!r} must be a method's name: got {value!r}.{nearest} Give"
        f" a spec to an operand: {{'weight': {value!r}}}."
      )
    made = Rule(weight=value, act=value)
  elif isinstance(value, Mapping):
    fields = [field.name for field in dataclasses.fields(Rule)]
    for name in value:
      if name not in fields:
        raise errors.unknown(f"field of the rule {key!r}", str(name), fields)
    made = Rule(**value)
  else:
    raise UserError(
      f"The rule {key!r} must be None, a method's name or a dict such as"
      f" {{'weight': 'ste|channel_l1', 'act': 'ste'}}: got {value!r:.80}."
    )
  try:
    parsed = [spec_lib.parse(getattr(made, r), r) for r in ("weight", "act")]
  except (ValueError, TypeError) as error:
    raise UserError(f"The rule {key!r}: {error}") from error
  if isinstance(value, str) and parsed == [None, None]:
    raise UserError(
      f"The rule {key!r}: the method {value!r} binarizes neither weights nor"
      " activations of a layer. To keep the layer float, give None."
    )
  return made


def matches(key: str, path: str) -> bool:
  """Whether a key is a path, or a pattern for the whole of it."""
  return key == path or re.fullmatch(key, path) is not None


def nearest(key: str, paths: Sequence[str]) -> str:
  """A sentence on the path that a key without a match may mean."""
  inside = [path for path in paths if re.search(key, path)]
  if not inside:
    return errors.nearest(key, paths)
  return (
    f" A key matches a whole path: write {f'.*{key}.*'!r} for {inside[0]!r}."
  )


def assign(
  rules: Mapping[str, Rule], paths: Iterable[str], done: Sequence[str] = ()
) -> dict[str, Assigned]:
  """The rule of each path that one matches.

  Args:
    rules: by key.
    paths: of the layers that may be binarized.
    done: of those that are binarized already.

  Raises:
    UserError: a rule matches no path, or only paths that earlier ones match.
  """
  paths = list(paths)
  found: dict[str, Assigned] = {}
  for key, rule in rules.items():
    # A path names one layer, though its dots also match any character.
    matching = [key] if key in paths else [p for p in paths if matches(key, p)]
    left = [path for path in matching if path not in found]
    if not left:
      _check_not_done(key, done)
    if not matching:
      raise UserError(
        f"The rule {key!r} matches no layer.{nearest(key, paths)} Layers:"
        f" {', '.join(path or repr(path) for path in paths) or '(none)'}."
      )
    if not left:
      earlier = sorted({found[path].key for path in matching})
      raise UserError(
        f"The rule {key!r} never applies: {', '.join(map(repr, earlier))} before"
        " it match the same layers. Put it first."
      )
    found |= {path: Assigned(key, rule) for path in left}
  return {path: found[path] for path in paths if path in found}


def _check_not_done(key: str, done: Sequence[str]) -> None:
  """Raises if a rule without a new layer matches binarized ones."""
  matching = [path for path in done if matches(key, path)]
  if matching:
    raise UserError(
      f"The layers that the rule {key!r} matches are binarized already"
      f" ({', '.join(matching)}): to binarize them in another way, call"
      " `bx.unbinarize(model)` first."
    )


def ends_alone(
  key: str, assigned: Mapping[str, Assigned], done: Sequence[str] = ()
) -> UserError:
  """The error for a rule that only the first or the last layer matches.

  Raises:
    UserError: other layers that match, of `done`, are binarized already.
  """
  _check_not_done(key, done)
  ends = [path for path, given in assigned.items() if given.key == key]
  return UserError(
    f"The rule {key!r} matches only the first or last layer, which stays float"
    f" unless a key is its path: write {' and '.join(map(repr, ends))}."
  )
