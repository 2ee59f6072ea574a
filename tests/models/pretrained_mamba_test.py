"""Mamba-2 under Hugging Face's names: layers are stacked, every misfit named."""

import json

import numpy as np
import pytest
import safetensors.numpy
from flax import nnx

from bnnjax import models
from bnnjax.models.pretrained import MAMBA2, config_of, load
from tests.filled_models import filled
from tests.mamba_checkpoint import SIZES, STATE_SPACES, checkpoint

CONFIG = {"name": "mamba", **SIZES, "weight": None}
TOKENS = np.array([[3, 1, 4, 1, 5]])


def score(tensors, tokens, groups=1):
  """Mamba-2 in float64, token by token; heads of 8, `groups` of them."""
  t = {k.removeprefix("backbone."): np.float64(v) for k, v in tensors.items()}
  silu = lambda x: x / (1 + np.exp(-x))  # noqa: E731

  def norm(x, name, groups=1):
    x = x.reshape(len(x), groups, -1)
    x = x / np.sqrt((x**2).mean(-1, keepdims=True) + 1e-5)
    return x.reshape(len(x), -1) * t[name]

  def mix(u, at):
    p = {k.removeprefix(at): v for k, v in t.items() if k.startswith(at)}
    z, xbc, dt = np.split(u @ p["in_proj.weight"].T, (32, 76), -1)
    seen = np.concatenate([np.zeros((3, 44)), xbc])
    taps = p["conv1d.weight"][:, 0].T
    windows = [seen[i : i + 4] for i in range(len(u))]
    xbc = silu(
      np.array([(w * taps).sum(0) for w in windows]) + p["conv1d.bias"]
    )
    dt = np.logaddexp(dt + p["dt_bias"], 0)
    state, y = np.zeros((4, 8, 6 // groups)), []
    for i in range(len(u)):
      x, b, c = np.split(xbc[i], (32, 38))
      x = x.reshape(4, 8)
      # Of every head, those of its group: `[4, state]`.
      b, c = (
        np.repeat(a.reshape(groups, -1), 4 // groups, axis=0) for a in (b, c)
      )
      decay = np.exp(-dt[i] * np.exp(p["A_log"]))[:, None, None]
      state = decay * state + (dt[i][:, None] * x)[..., None] * b[:, None]
      y.append(((state * c[:, None]).sum(-1) + p["D"][:, None] * x).ravel())
    gated = norm(np.array(y) * silu(z), f"{at}norm.weight", groups)
    return gated @ p["out_proj.weight"].T

  x = t["embeddings.weight"][tokens]
  for i in range(2):
    x = x + mix(norm(x, f"layers.{i}.norm.weight"), f"layers.{i}.mixer.")
  return norm(x, "norm_f.weight") @ t["embeddings.weight"].T


def make():
  config = {"name": "mamba", **SIZES, "weight": "ste|learned"}
  return filled(lambda rngs: models.build(config, rngs=rngs))


HUGGING_FACE = {
  "model_type": "mamba2", "architectures": ["Mamba2ForCausalLM"],
  "hidden_size": 16, "num_hidden_layers": 2, "vocab_size": 11, "num_heads": 4,
  "state_size": 3, "expand": 2, "n_groups": 2, "tie_word_embeddings": True,
  "time_step_limit": [0.0, {"__float__": "Infinity"}],
}  # fmt: skip


def written(folder, tensors, settings):
  """A folder of both, the file in it."""
  folder.mkdir(exist_ok=True)
  safetensors.numpy.save_file(tensors, folder / "model.safetensors")
  if settings is not None:
    (folder / "config.json").write_text(json.dumps(settings))
  return folder / "model.safetensors"


@pytest.mark.parametrize(
  ("words", "before", "settings"),
  [
    ("embedding", "", STATE_SPACES),
    ("embeddings", "model.", HUGGING_FACE),
  ],
)
def test_groups_of_both_layouts_compute_as_their_network(
  tmp_path, words, before, settings
):
  """From the folder; the layouts say `groups` and the words otherwise."""
  tensors = checkpoint(words)
  written(tmp_path, {before + k: v for k, v in tensors.items()}, settings)
  found = config_of(tmp_path, MAMBA2)
  assert found == {"name": "mamba", **SIZES, "state": 3, "groups": 2}
  model = filled(
    lambda rngs: models.build({**found, "weight": None}, rngs=rngs)
  )
  assert load(model, tmp_path, MAMBA2) == ()
  got = nnx.jit(lambda m: m(TOKENS))(model)[0]
  tensors["backbone.embeddings.weight"] = tensors[f"backbone.{words}.weight"]
  want = score(tensors, TOKENS[0], groups=2)
  np.testing.assert_allclose(got, want, atol=1e-5 * np.abs(want).max())
  assert np.abs(want - score(tensors, TOKENS[0])).max() > 0.01


def test_a_file_computes_as_its_network(tmp_path):
  """Without `config.json`: what shapes do not show must be told."""
  tensors = {k.removeprefix("backbone."): v for k, v in checkpoint().items()}
  file = written(tmp_path, tensors, None)
  with pytest.raises(ValueError, match=r"do not show `groups`.*'n_groups'"):
    config_of(file, MAMBA2)
  assert config_of(file, MAMBA2, groups=1) == {"name": "mamba", **SIZES}
  model = filled(lambda rngs: models.build(CONFIG, rngs=rngs))
  with pytest.warns(UserWarning, match=r"no `config.json`.*groups = 1"):
    assert load(model, file, MAMBA2) == ()
  got = nnx.jit(lambda m: m(TOKENS))(model)[0]
  want = score(checkpoint(), TOKENS[0])
  np.testing.assert_allclose(got, want, atol=1e-5 * np.abs(want).max())


def test_a_model_of_other_groups_is_refused(tmp_path):
  """The shapes of one group and of two are the same."""
  file = written(tmp_path, checkpoint(), HUGGING_FACE)
  with pytest.raises(
    ValueError, match=r"groups = 2: set `model.groups`.*got 1"
  ):
    load(make(), file, MAMBA2)


def test_latent_weights_are_stacked_and_their_scales_measured():
  """Under the names of the original checkpoints, with the words twice."""
  tensors, model = checkpoint("embedding"), make()
  tensors["lm_head.weight"] = tensors["backbone.embedding.weight"].copy()
  assert load(model, tensors, MAMBA2) == ()
  layer = model.blocks.layer.mixer.out_proj
  for i in range(2):
    float_ = tensors[f"backbone.layers.{i}.mixer.out_proj.weight"].T
    np.testing.assert_array_equal(layer.kernel[i], float_)
    scale = layer.weight.params["scale"][i, 0]
    np.testing.assert_allclose(scale, np.abs(float_).mean(0), rtol=1e-5)


def test_every_misfit_is_listed_and_nothing_changes():
  tensors, model = checkpoint(), make()
  del tensors["backbone.layers.1.mixer.D"]
  tensors["backbone.layers.0.mixer.conv1d.weight"] = np.ones((44, 1, 3))
  tensors["backbone.layers.2.mixer.D"] = np.ones(4)
  tensors["backbone.layers.1.mlp.weight"] = np.ones((2, 3))
  tensors["lm_head.weight"] = np.ones((11, 16))
  before = nnx.to_flat_state(nnx.state(model))
  with pytest.raises(ValueError) as error:
    load(model, tensors, MAMBA2)
  assert str(error.value).splitlines() == [
    "The checkpoint does not fit this Mamba (5 problems, nothing was changed):",
    "  mis-shaped: backbone.layers.0.mixer.conv1d.weight for"
    " `blocks.layer.mixer.conv.kernel[0]`: got (44, 1, 3), wanted (44, 1, 4)",
    "  missing: backbone.layers.1.mixer.D for `blocks.layer.mixer.D[1]`",
    "  not tied: lm_head.weight must repeat backbone.embeddings.weight",
    "  unexpected: backbone.layers.1.mlp.weight (2, 3)",
    "  unexpected: backbone.layers.2.mixer.D (4,): the model has no"
    " `blocks.layer.mixer.D[2]`",
  ]
  for (_, old), (_, new) in zip(before, nnx.to_flat_state(nnx.state(model))):
    np.testing.assert_array_equal(old[...], new[...])


def test_config_refuses_other_networks(tmp_path):
  file = tmp_path / "model.safetensors"
  tensors = checkpoint()
  del tensors["backbone.layers.0.mixer.norm.weight"]
  safetensors.numpy.save_file(tensors, file)
  settings = {
    "n_groups": 1,
    "time_step_limit": [0.0, float("inf")],
    "use_bias": True,
    "vocab_size": 12,
  }
  (tmp_path / "config.json").write_text(json.dumps(settings))
  with pytest.raises(ValueError) as error:
    config_of(file, MAMBA2)
  message = str(error.value)
  assert "use_bias is True, `mamba` has False" in message
  assert "vocab_size is 12, the tensors show 11" in message
  assert (
    "no tensor backbone.layers.0.mixer.norm.weight to show `expand`" in message
  )
  assert "time_step_limit" not in message


def test_the_index_of_several_files(tmp_path):
  tensors, files = checkpoint(), {}
  for number, name in enumerate(sorted(tensors)):
    files.setdefault(f"part-{number % 2}.safetensors", {})[name] = tensors[name]
  for file, part in files.items():
    safetensors.numpy.save_file(part, tmp_path / file)
  index = tmp_path / "model.safetensors.index.json"
  where = {name: file for file, part in files.items() for name in part}
  index.write_text(json.dumps({"weight_map": where}))
  (tmp_path / "config.json").write_text(
    json.dumps(
      {"n_groups": 1, "time_step_limit": [0.0, {"__float__": "Infinity"}]}
    )
  )
  assert config_of(index, MAMBA2) == {"name": "mamba", **SIZES}
  model = make()
  assert load(model, index, MAMBA2) == ()
  words = tensors["backbone.embeddings.weight"]
  np.testing.assert_array_equal(model.embedding[...], words)
  (tmp_path / "part-1.safetensors").unlink()
  with pytest.raises(ValueError, match=r"not there: \['part-1.safetensors'\]"):
    load(model, index, MAMBA2)


@pytest.mark.parametrize(
  ("name", "what"),
  [
    ("backbone.layers.0.mixer.x_proj.weight", "Mamba-1"),
    ("h.0.attn.c_attn.weight", None),
  ],
)
def test_another_network_is_said_to_be_one(name, what):
  tensors = checkpoint() if what else {}
  tensors[name] = np.ones((2, 2), np.float32)
  with pytest.raises(ValueError, match=rf"{what or 'GPT-2'}.*reads Mamba-2 of"):
    load(make(), tensors, MAMBA2)
  with pytest.raises(ValueError, match=what or "GPT-2"):
    config_of(tensors, MAMBA2, groups=1)
