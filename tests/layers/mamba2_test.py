"""Mamba-2's block against its authors' code, float and as Bi-Mamba has it."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from bnnjax import models
from bnnjax.layers.mamba2 import Mamba2
from bnnjax.layers.ssm import SSMCache
from tests import golden_cases
from tests.torch_layers import kernel, zero_at_zero

TOLERANCE = 1e-4
SMALL = {"state": 6, "head_size": 8, "chunk": 4}
# Ours from theirs; a scale and a shift a column are [1, in] there, [in, 1] here.
NAMES = {
  "A_log": ("A_log", np.asarray),
  "D": ("D", np.asarray),
  "dt_bias": ("dt_bias", np.asarray),
  "conv1d.weight": ("conv.kernel", kernel),
  "conv1d.bias": ("conv.bias", np.asarray),
  "in_proj.weight": ("in_proj.kernel", kernel),
  "in_proj.wscale": ("in_proj.weight.params.scale", np.transpose),
  "in_proj.wbias": ("in_proj.weight.params.shift", np.transpose),
  "norm.weight": ("norm.scale", np.asarray),
  "out_proj.weight": ("out_proj.kernel", kernel),
  "out_proj.wscale": ("out_proj.weight.params.scale", np.transpose),
  "out_proj.wbias": ("out_proj.weight.params.shift", np.transpose),
}
BIMAMBA = zero_at_zero("fbi_llm", "weight")


def put(state, arrays):
  """The pure dict of a block with the arrays that are called by their names."""
  flat = nnx.traversals.flatten_mapping(state, sep=".")
  for name, array in arrays.items():
    path, turn = NAMES[name]
    assert flat[path].shape == turn(array).shape, name
    flat[path] = jnp.asarray(turn(array))
  assert len(arrays) == len(flat)
  return nnx.traversals.unflatten_mapping(flat, sep=".")


class Recorded:
  """A recorded block, our own beside it, and a run of it."""

  def __init__(self, file, prefix="", weight=None):
    self.arrays = {
      key.removeprefix(prefix): array
      for key, array in golden_cases.arrays(file).items()
    }
    hp = {k[3:]: int(v) for k, v in self.arrays.items() if k[:3] == "hp."}
    self.given = self.part("param.")
    self.u = jnp.asarray(self.given.pop("u"))
    self.first = self.given.pop("init_states", None)
    sizes = {
      "state": hp["d_state"],
      "head_size": hp["headdim"],
      "conv": hp["d_conv"],
      "expand": hp["expand"],
      "groups": hp.get("ngroups", 1),
      "chunk": hp["chunk"],
    }
    self.block = models.abstract(
      lambda rngs: Mamba2(hp["d_model"], **sizes, weight=weight, rngs=rngs)
    )
    self.graph, state = nnx.split(self.block)
    self.state = put(nnx.to_pure_dict(state), self.given)

  def part(self, prefix):
    """Arrays whose keys start so, without that."""
    return {
      key.removeprefix(prefix): array
      for key, array in self.arrays.items()
      if key.startswith(prefix)
    }

  def apply(self, state, u, first, last=None):
    """`(y, cache)`; `first` is the state of every example, or of each."""
    cache = self.block.cache(len(u))
    ssm = jnp.broadcast_to(first, cache.ssm.shape)
    cache = SSMCache(cache.conv if last is None else last, ssm)
    return nnx.merge(self.graph, state)(u, cache=cache)

  def check_gradients(self):
    """Output and every gradient that the file has."""
    first = jnp.zeros(()) if self.first is None else jnp.asarray(self.first)

    @jax.jit
    def run(*given):
      y, vjp = jax.vjp(lambda *g: self.apply(*g)[0], *given)
      return y, vjp(jnp.asarray(self.arrays["gy"]))

    y, (grads, du, dfirst) = run(self.state, self.u, first)
    golden_cases.close(y, self.arrays["y"], TOLERANCE, "y")
    flat = nnx.traversals.flatten_mapping(grads, sep=".")
    wanted = self.part("grad.")
    for name, got in (("u", du), ("init_states", dfirst)):
      if name in wanted:
        golden_cases.close(got, wanted.pop(name), TOLERANCE, name)
    assert wanted.keys() == self.given.keys()
    for name, want in wanted.items():
      path, turn = NAMES[name]
      golden_cases.close(flat[path], turn(want), TOLERANCE, name)


@pytest.mark.golden
def test_simple_block():
  recorded = Recorded("mamba2_simple.npz", "simple.")
  assert recorded.first is not None
  recorded.check_gradients()


@pytest.fixture(scope="module")
def bimamba():
  """The recorded block of Bi-Mamba."""
  return Recorded("bimamba_block.npz", weight=BIMAMBA)


@pytest.mark.golden
def test_bimamba_block(bimamba):
  bimamba.check_gradients()


@pytest.mark.golden
def test_bimamba_scales_at_the_start(bimamba):
  found = bimamba.part("init.")
  for layer in ("in_proj", "out_proj"):
    latent = jnp.asarray(bimamba.given[f"{layer}.weight"].T)
    params, _ = BIMAMBA.init(latent)
    for ours, theirs in (("scale", "wscale"), ("shift", "wbias")):
      want = found.pop(f"{layer}.{theirs}").T
      golden_cases.close(params[ours], want, TOLERANCE, f"{layer}.{theirs}")
  assert not found


@pytest.mark.golden
def test_bimamba_steps(bimamba):
  step, want = jax.jit(bimamba.apply), bimamba.part("step.")
  ssm, last, outputs = jnp.zeros(()), None, []
  for t in range(bimamba.u.shape[1]):
    u = bimamba.u[:, t : t + 1]
    y, cache = step(bimamba.state, u, ssm, last)
    ssm, last = cache.ssm, cache.conv
    outputs.append(y)
  got = {
    "y": np.concatenate(outputs, 1),
    "conv_state": np.swapaxes(last, 1, 2),
    "ssm_state": ssm,
  }
  assert got.keys() == want.keys()
  for name, value in got.items():
    golden_cases.close(value, want[name], TOLERANCE, name)


def test_bfloat16_keeps_the_cache_in_float32():
  options = {**SMALL, "groups": 2, "weight": "fbi_llm", "dtype": jnp.bfloat16}
  block = models.abstract(lambda rngs: Mamba2(16, **options, rngs=rngs))
  u, before = jnp.zeros((2, 5, 16)), block.cache(2)
  y, after = nnx.eval_shape(lambda block: block(u, cache=before), block)
  assert (y.shape, y.dtype) == ((2, 5, 16), jnp.bfloat16)
  for old, new in zip(jax.tree.leaves(before), jax.tree.leaves(after)):
    assert old.shape == new.shape
    assert old.dtype == new.dtype == jnp.float32


def test_start():
  """Rates in [1, 16], steps log-uniform in [1e-3, 1e-1], the rest as written."""
  sizes = {**SMALL, "head_size": 1}
  block = nnx.jit(lambda: Mamba2(128, **sizes, rngs=nnx.Rngs(0)))()
  rates = np.exp(block.A_log[...])
  assert 1 <= rates.min() < 2
  assert 15 < rates.max() <= 16
  steps = np.log(np.logaddexp(block.dt_bias[...], 0))
  low, high = np.log(1e-3), np.log(1e-1)
  assert low - 1e-3 <= steps.min() < low + 0.2
  assert high - 0.2 < steps.max() <= high + 1e-3
  assert abs(steps.mean() - (low + high) / 2) < 0.3
  assert {float(v) for x in (block.D, block.norm.scale) for v in x[...]} == {1}


@pytest.mark.parametrize(
  ("options", "message"),
  [
    ({"head_size": 5}, "`head_size` must divide .* got 5 for 32"),
    ({"groups": 3}, "`groups` must divide the heads: got 3 for 4 heads"),
    ({"state": 0}, "`state` of Mamba2 must be an int >= 1 .*got 0"),
    ({"chunk": 0}, "`chunk` of Mamba2 must be an int >= 1 .*got 0"),
    ({"conv": 0}, "`conv` of Mamba2 must be an int >= 1 .*got 0"),
  ],
)
def test_sizes_that_do_not_fit(options, message):
  with pytest.raises(ValueError, match=message):
    models.abstract(lambda rngs: Mamba2(16, **SMALL | options, rngs=rngs))


def test_inputs_that_do_not_fit():
  block = models.abstract(lambda rngs: Mamba2(16, **SMALL, rngs=rngs))
  cache = block.cache(3)
  run = lambda u, cache=None: nnx.eval_shape(  # noqa: E731
    lambda block: block(u, cache=cache), block
  )
  u = jnp.zeros((2, 3, 16))
  with pytest.raises(ValueError, match="at least one token"):
    run(u[:, :0])
  with pytest.raises(ValueError, match=r"\(2, 4, 44\), got \(3, 4, 44\)"):
    run(u, cache)
  with pytest.raises(ValueError, match=r"\[B, H, P, N\] = \(2, 4, 8, 6\)"):
    run(u, SSMCache(cache.conv[:2], cache.ssm))
