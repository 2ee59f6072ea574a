"""What `config.json` and shapes say of a network, and where they disagree."""

import pytest

from bnnjax.models.pretrained import BERT, MAMBA2
from bnnjax.models.pretrained_config import (
  check_family,
  differing,
  read,
  translate,
)
from tests.mamba_checkpoint import SIZES, STATE_SPACES, checkpoint

# What mamba_ssm's `MambaConfig` and `Mamba2` take, and other values of it.
SETTINGS = {
  "d_model": 32, "n_layer": 3, "vocab_size": 12, "rms_norm": False,
  "tie_embeddings": False, "d_intermediate": 64, "attn_layer_idx": [1],
  "n_layers": 2, "norm_epsilon": 1e-6,
}  # fmt: skip
SSM_CFG = {
  "layer": "Mamba1", "d_state": 4, "d_conv": 3, "expand": 4, "headdim": 16,
  "d_ssm": 16, "ngroups": 5, "dt_limit": [0.0, 1.0], "bias": True,
  "conv_bias": False, "rmsnorm": False, "norm_before_gate": True,
  "D_has_hdim": True, "process_group": "x", "n_groups": 2, "dt_rank": 3,
}  # fmt: skip
NAMED = {
  "d_model": "hidden_size", "n_layer": "num_hidden_layers",
  "tie_embeddings": "tie_word_embeddings", "d_state": "state_size",
  "d_conv": "conv_kernel", "headdim": "head_dim", "ngroups": "`state`",
  "dt_limit": "time_step_limit", "bias": "use_bias",
  "conv_bias": "use_conv_bias", "rmsnorm": "gated_norm",
}  # fmt: skip


@pytest.mark.parametrize("key", [*SETTINGS, *SSM_CFG])
def test_every_setting_of_state_spaces_is_honoured_or_refused(key):
  settings = {**STATE_SPACES, "ssm_cfg": dict(STATE_SPACES["ssm_cfg"])}
  shapes = {k: v.shape for k, v in checkpoint().items()}
  assert read(MAMBA2, shapes, translate(settings), {})[1] == []
  if key in SETTINGS:
    settings[key] = SETTINGS[key]
  else:
    settings["ssm_cfg"][key] = SSM_CFG[key]
  try:
    problems = read(MAMBA2, shapes, translate(settings), {})[1]
  except ValueError as error:
    problems = [str(error)]
  assert NAMED.get(key, key) in " ".join(problems)


def test_what_made_a_network_fast_or_trained_it_does_not_matter():
  settings = {**STATE_SPACES, "residual_in_fp32": False, "fused_add_norm": True}
  settings["ssm_cfg"] = {
    **STATE_SPACES["ssm_cfg"], "chunk_size": 64, "dt_min": 0.01, "d_ssm": None,
    "A_init_range": [1, 2], "use_mem_eff_path": False,
  }  # fmt: skip
  shapes = {k: v.shape for k, v in checkpoint().items()}
  assert read(MAMBA2, shapes, translate(settings), {})[1] == []


def test_a_layer_that_is_not_named_is_mamba_1():
  settings = translate({**STATE_SPACES, "ssm_cfg": {"ngroups": 2}})
  shapes = {k: v.shape for k, v in checkpoint().items()}
  _, problems = read(MAMBA2, shapes, settings, {})
  assert problems == ["layer is 'Mamba1', `mamba` has 'Mamba2'"]


def test_words_that_are_not_tied_are_seen():
  shapes = {k: v.shape for k, v in checkpoint().items()}
  settings = {"n_groups": 1, "tie_word_embeddings": False}
  _, problems = read(MAMBA2, shapes, settings, {})
  assert problems == ["tie_word_embeddings is False, `mamba` has True"]
  # With both in the file, `load` compares them.
  assert (
    read(MAMBA2, {**shapes, "lm_head.weight": (11, 16)}, settings, {})[1] == []
  )


def test_groups_where_the_converter_of_transformers_looks_for_them():
  shapes = {k: v.shape for k, v in checkpoint().items()}
  given = {**STATE_SPACES, "n_groups": 2}
  assert read(MAMBA2, shapes, translate(given), {})[0]["groups"] == 2
  with pytest.raises(
    ValueError, match="n_groups is 4, `ssm_cfg` has ngroups 2"
  ):
    translate({**STATE_SPACES, "n_groups": 4})


def test_an_encoder_has_no_words_to_tie():
  """BERT's head is seen by its dense layer."""
  settings = {"tie_word_embeddings": False}
  for shapes, said in (({}, 0), ({BERT.parts["transform"]: (16, 16)}, 1)):
    _, problems = read(BERT, shapes, settings, {"heads": 2})
    assert sum("no tensor" not in p for p in problems) == said


def test_sizes_are_read_off_the_shapes():
  shapes = {k: v.shape for k, v in checkpoint().items()}
  assert read(MAMBA2, shapes, {"n_groups": 1}, {}) == (
    {"name": "mamba", **SIZES},
    [],
  )


@pytest.mark.parametrize(
  ("names", "settings", "what"),
  [
    (["h.0.attn.c_attn.weight"], None, "GPT-2"),
    (
      ["student.embeddings.word_embeddings.weight"],
      None,
      "with 'student.' bef",
    ),
    (["roberta.pooler.dense.weight"], None, "RoBERTa"),
    (
      ["pooler.dense.weight"],
      {"model_type": "gpt2"},
      "config.json` says 'gpt2'",
    ),
    ([], None, r"unknown kind \(tensors as none\)"),
  ],
)
def test_a_network_of_another_family_is_named(names, settings, what):
  shapes = dict.fromkeys(names, (2, 2))
  with pytest.raises(
    ValueError, match=rf"^F is of another .*{what}.*reads BERT"
  ):
    check_family("F", BERT, shapes, settings)


def test_a_network_of_the_family_passes():
  shapes = {"bert.pooler.dense.weight": (2, 2)}
  check_family("F", BERT, shapes, {"architectures": ["BertForMaskedLM"]})


def test_a_model_that_was_built_otherwise():
  (said,) = differing(BERT, {"num_attention_heads": 4}, {"heads": 2})
  assert "heads = 4: set `model.heads` to it, got 2" in said
  assert differing(BERT, {"num_attention_heads": 2}, {"heads": 2}) == []
