"""Mamba-2 under Hugging Face's names: layers are stacked, every misfit named."""

import json

import numpy as np
import pytest
import safetensors.numpy
from flax import nnx

from bnnjax import models
from bnnjax.models.pretrained import MAMBA2, config_of, load
from tests.filled_models import filled

SIZES = {
  "vocab": 11, "features": 16, "blocks": 2, "state": 6, "head_size": 8,
  "expand": 2, "conv": 4,
}  # fmt: skip
TOKENS = np.array([[3, 1, 4, 1, 5]])


def checkpoint(words="embeddings"):
  """Tensors of a network of `SIZES`, written out."""
  shapes = {
    f"backbone.{words}.weight": (11, 16),
    "backbone.norm_f.weight": (16,),
  }
  for i in range(2):
    shapes |= {
      f"backbone.layers.{i}.{name}": shape
      for name, shape in {
        "norm.weight": (16,),
        "mixer.A_log": (4,),
        "mixer.D": (4,),
        "mixer.dt_bias": (4,),
        "mixer.conv1d.weight": (44, 1, 4),
        "mixer.conv1d.bias": (44,),
        "mixer.in_proj.weight": (80, 16),
        "mixer.norm.weight": (32,),
        "mixer.out_proj.weight": (16, 32),
      }.items()
    }
  rng = np.random.default_rng(0)
  return {
    name: rng.normal(size=shape).astype(np.float32)
    for name, shape in shapes.items()
  }


def score(tensors, tokens):
  """Mamba-2 in float64, token by token; one group, heads of 8."""
  t = {k.removeprefix("backbone."): np.float64(v) for k, v in tensors.items()}
  silu = lambda x: x / (1 + np.exp(-x))  # noqa: E731

  def norm(x, name):
    return x / np.sqrt((x**2).mean(-1, keepdims=True) + 1e-5) * t[name]

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
    state, y = np.zeros((4, 8, 6)), []
    for i in range(len(u)):
      x, b, c = np.split(xbc[i], (32, 38))
      x = x.reshape(4, 8)
      decay = np.exp(-dt[i] * np.exp(p["A_log"]))[:, None, None]
      state = decay * state + (dt[i][:, None] * x)[..., None] * b
      y.append((state @ c + p["D"][:, None] * x).ravel())
    gated = norm(np.array(y) * silu(z), f"{at}norm.weight")
    return gated @ p["out_proj.weight"].T

  x = t["embeddings.weight"][tokens]
  for i in range(2):
    x = x + mix(norm(x, f"layers.{i}.norm.weight"), f"layers.{i}.mixer.")
  return norm(x, "norm_f.weight") @ t["embeddings.weight"].T


def make():
  config = {"name": "mamba", **SIZES, "weight": "ste|learned"}
  return filled(lambda rngs: models.build(config, rngs=rngs))


def test_a_file_computes_as_its_network(tmp_path):
  tensors = checkpoint()
  file = tmp_path / "model.safetensors"
  safetensors.numpy.save_file(tensors, file)
  assert config_of(file, MAMBA2) == {"name": "mamba", **SIZES}
  config = {**config_of(file, MAMBA2), "weight": None}
  model = nnx.jit(lambda: models.build(config, rngs=nnx.Rngs(0)))()
  assert load(model, file, MAMBA2) == ()
  got = nnx.jit(lambda m: m(TOKENS))(model)[0]
  want = score(tensors, TOKENS[0])
  np.testing.assert_allclose(got, want, atol=1e-5 * np.abs(want).max())


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
  settings = {"n_groups": 8, "time_step_limit": [0.0, float("inf")]}
  (tmp_path / "config.json").write_text(json.dumps(settings))
  with pytest.raises(ValueError) as error:
    config_of(file, MAMBA2)
  message = str(error.value)
  assert "n_groups is 8, `mamba` has 1" in message
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
    json.dumps({"time_step_limit": [0.0, {"__float__": "Infinity"}]})
  )
  assert config_of(index, MAMBA2) == {"name": "mamba", **SIZES}
  model = models.build({"name": "mamba", **SIZES}, rngs=nnx.Rngs(0))
  assert load(model, index, MAMBA2) == ()
  words = tensors["backbone.embeddings.weight"]
  np.testing.assert_array_equal(model.embedding[...], words)
  (tmp_path / "part-1.safetensors").unlink()
  with pytest.raises(ValueError, match=r"not there: \['part-1.safetensors'\]"):
    load(model, index, MAMBA2)
