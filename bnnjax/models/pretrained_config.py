"""Reads the sizes of a network off its `config.json` and its tensors.

Shapes show most sizes; heads, groups and unsupported features are only in
`config.json`. Nothing is guessed: contradictions and missing sizes are reported
as problems.
"""

import fnmatch
from collections.abc import Mapping, Sequence
from typing import Any

from bnnjax.core import registry
from bnnjax.models.pretrained_families import Names, numbers

Shapes = Mapping[str, tuple[int, ...]]
Settings = Mapping[str, Any]

# Keys of state-spaces' `config.json` (mamba_ssm: `MambaConfig`) and of its
# `ssm_cfg` (`Mamba2`) -> keys in `Names`, mostly those of Hugging Face; `None`
# for settings of initialisation, training or speed.
_TOP = {
  "d_model": "hidden_size",
  "n_layer": "num_hidden_layers",
  "vocab_size": "vocab_size",
  "rms_norm": "rms_norm",
  "tie_embeddings": "tie_word_embeddings",
  "d_intermediate": "d_intermediate",
  "attn_layer_idx": "attn_layer_idx",
  "n_groups": "n_groups",  # the converter of `transformers` reads it here
  **dict.fromkeys(
    (
      "ssm_cfg", "attn_cfg", "pad_vocab_size_multiple", "residual_in_fp32",
      "fused_add_norm",
    )
  ),
}  # fmt: skip
_MIXER = {
  "layer": "layer",
  "d_state": "state_size",
  "d_conv": "conv_kernel",
  "expand": "expand",
  "headdim": "head_dim",
  "d_ssm": "d_ssm",
  "ngroups": "n_groups",
  "dt_limit": "time_step_limit",
  "bias": "use_bias",
  "conv_bias": "use_conv_bias",
  "rmsnorm": "gated_norm",
  "norm_before_gate": "norm_before_gate",
  "D_has_hdim": "D_has_hdim",
  "process_group": "process_group",
  **dict.fromkeys(
    (
      "conv_init", "A_init_range", "dt_min", "dt_max", "dt_init_floor",
      "chunk_size", "use_mem_eff_path", "sequence_parallel", "layer_idx",
      "device", "dtype",
    )
  ),
}  # fmt: skip
_DEFAULTS = {"layer": "Mamba1", "n_groups": 1}
_PAD = 8  # by default the rows of the embedding are a multiple of it
# Written by libraries that store such files; not read by mamba_ssm.
_KEPT = (
  "_*", "architectures", "model_type", "transformers_version", "torch_dtype",
  "dtype", "*_token_id", "use_cache",
)  # fmt: skip
TIED = "tie_word_embeddings"
# Tensors -> the network that has them; the first match counts.
_KINDS = (
  ("*.mixer.x_proj.weight", "Mamba-1"),
  ("*.mixer.A_log", "Mamba-2"),
  ("*.lora_?.*", "a LoRA adapter"),
  ("*attn.c_attn.weight", "GPT-2"),
  ("*attention.query_key_value.weight", "GPT-NeoX or BLOOM"),
  ("*self_attn.q_proj.weight", "a decoder, such as LLaMA or OPT"),
  ("*.q_lin.weight", "DistilBERT"),
  ("*albert_layer*", "ALBERT"),
  ("*SelfAttention.q.weight", "T5"),
  ("*attention.self.query.weight", "BERT or one of its kind"),
)


def check_family(
  where: str, names: Names, shapes: Shapes, settings: Settings | None
) -> None:
  """Raises if a checkpoint is of another family than the table.

  Raises:
    ValueError: names both.
  """
  if not names.reads:  # our own names
    return
  said, spelled = (
    _called(settings or {}),
    [names.spell(name) for name in shapes],
  )
  (kind, begin), *_ = names.types.items()
  rivals = (what for p, what in names.rivals if fnmatch.filter(spelled, p))
  what = next(rivals, "")
  if not what and said and said != kind and not said.startswith(begin):
    what = f"its `config.json` says {said!r}"
  if not what and not any(names.target(name)[0] for name in spelled):
    kinds = (k for p, k in _KINDS if fnmatch.filter(spelled, p))
    what = next(kinds, "of an unknown kind")
    what += f" (tensors as {', '.join(list(shapes)[:3]) or 'none'})"
    words = next(iter(names.table))
    before = [t.removesuffix(words) for t in spelled if t.endswith(words)]
    what += "".join(f", with {b!r} before the names" for b in before)
  if what:
    raise ValueError(
      f"{where} is of another network: {what}. Model `{names.model}` reads"
      f" {names.reads}."
    )


def translate(settings: Settings) -> dict[str, Any]:
  """Translates settings to the keys of `Names`.

  Raises:
    ValueError: an unknown setting of state-spaces.
  """
  if not {"d_model", "ssm_cfg"} & settings.keys():
    return dict(settings)
  mixer = settings.get("ssm_cfg") or {}
  if not isinstance(mixer, dict):
    raise ValueError(f"`ssm_cfg` must be an object, got {mixer!r}")
  found = dict(_DEFAULTS)
  for key, value in settings.items():
    if key in _TOP:
      found[_TOP[key]] = value
    elif not any(fnmatch.fnmatchcase(key, p) for p in _KEPT):
      raise registry.unknown("setting of state-spaces", key, _TOP)
  for key, value in mixer.items():
    if key not in _MIXER:
      raise registry.unknown("setting of `ssm_cfg`", key, _MIXER)
    if key == "ngroups" and value != settings.get("n_groups", value):
      raise ValueError(
        f"n_groups is {settings['n_groups']!r}, `ssm_cfg` has ngroups {value!r}"
      )
    found[_MIXER[key]] = value
  found.pop(None, None)
  rows, multiple = (
    found.get("vocab_size"),
    settings.get("pad_vocab_size_multiple", _PAD),
  )
  if _size(rows) and _size(multiple):
    found["vocab_size"] = (rows, rows + -rows % multiple)
  return found


def read(
  names: Names,
  shapes: Shapes,
  settings: Settings | None,
  given: Mapping[str, Any],
) -> tuple[dict[str, Any], list[str]]:
  """Arguments of a model, and a list of problems.

  Args:
    names: table of the family.
    shapes: of the tensors, by their names in the table.
    settings: of `config.json`, translated; `None` without one.
    given: arguments that override those found.
  """
  found, settings = {}, {} if settings is None else settings
  problems = _demanded(names, shapes, settings)
  for argument, key in names.settings.items():
    value = given.get(argument, settings.get(key))
    if value is None:
      why = f"shapes do not show `{argument}`: give it, or the path of a file"
      problems.append(f"{why} that has its `config.json` ({key!r}) beside it")
    elif not _size(value):
      what = f"`{argument}`" if argument in given else key
      problems.append(f"{what} must be a whole number above 0, got {value!r}")
    else:
      found[argument] = value
  for argument, where in names.sizes.items():
    function, *shown = where if callable(where[0]) else (int, where)
    problems += [
      f"no tensor {s[0]} to show `{argument}`"
      for s in shown
      if not isinstance(s, str) and _shown(*s, shapes) is None
    ]
    values = [_value(s, shapes, found) for s in shown]
    if None not in values:
      try:
        found[argument] = function(*values)
      except ValueError as error:
        problems.append(f"shapes show no `{argument}`: {error}")
  found |= {k: True for k, tensor in names.parts.items() if tensor in shapes}
  problems += _contradicted(names, shapes, settings, found)
  order = ("name", *names.sizes, *names.settings, *names.parts)
  found["name"] = names.model
  return {k: found[k] for k in order if k in found}, problems


def differing(
  names: Names, settings: Settings | None, built: Mapping[str, Any]
) -> list[str]:
  """Arguments of a built model that differ from the checkpoint's settings."""
  return [
    f"its `config.json` has {argument} = {settings[key]!r}: set"
    f" `model.{argument}` to it, got {built[argument]}"
    for argument, key in names.settings.items()
    if (settings or {}).get(key) not in (None, built[argument])
  ]


def _called(settings: Settings) -> str:
  """The type of the network in its settings, or empty."""
  classes = settings.get("architectures")
  classes = classes if isinstance(classes, list) and classes else [classes]
  return str(settings.get("model_type") or classes[0] or "")


def _demanded(names, shapes, settings) -> list[str]:
  """Problems: settings that our model does not implement."""
  return [
    f"{key} is {settings[key]!r}, `{names.model}` has {wanted[0]!r}"
    for key, wanted in names.demands.items()
    if key in settings
    and settings[key] not in wanted
    and not (key == TIED and _tied_is_seen(names, shapes))
  ]


def _tied_is_seen(names, shapes) -> bool:
  """Whether both words are compared, or there is no head to tie."""
  head = not names.parts or any(t in shapes for t in names.parts.values())
  return not head or next(iter(names.copies)) in shapes


def _contradicted(names, shapes, settings, found) -> list[str]:
  """Problems: settings with another size than the tensors show."""
  problems = []
  for key, where in names.claims.items():
    value, shown = settings.get(key), _value(where, shapes, found)
    if value is None or shown is None:
      continue
    allowed = value if isinstance(value, tuple) else (value,)
    if shown not in allowed or any(isinstance(v, bool) for v in allowed):
      problems.append(f"{key} is {allowed[0]!r}, the tensors show {shown}")
  return problems


def _value(where, shapes, found) -> int | None:
  """A size, from an argument already found or from a tensor."""
  return found.get(where) if isinstance(where, str) else _shown(*where, shapes)


def _shown(name: str, axis: int, shapes: Shapes) -> int | None:
  """The size of an axis of a tensor, or for `{}` the number of tensors."""
  like = [shapes[k] for k in shapes if numbers(name, k) is not None]
  if "{}" in name:
    return len(like) or None
  rank: Sequence[int] = like[0] if like else ()
  return rank[axis] if axis < len(rank) else None


def _size(value: Any) -> bool:
  return isinstance(value, int) and not isinstance(value, bool) and value > 0
