"""A small checkpoint of Mamba-2, under Hugging Face's names."""

import numpy as np

SIZES = {
  "vocab": 11, "features": 16, "blocks": 2, "state": 6, "head_size": 8,
  "expand": 2, "conv": 4, "groups": 1,
}  # fmt: skip
STATE_SPACES = {
  "d_model": 16, "n_layer": 2, "vocab_size": 11, "rms_norm": True,
  "pad_vocab_size_multiple": 1, "tie_embeddings": True,
  "ssm_cfg": {"layer": "Mamba2", "headdim": 8, "ngroups": 2},
}  # fmt: skip


def checkpoint(words="embeddings"):
  """Tensors of a network of `SIZES`, written out.

  With two groups the states have half the size: the shapes are the same.
  """
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
