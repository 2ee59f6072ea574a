"""Converts one network: costs, memory, the way back, training."""

import gc
import importlib.metadata
import math
import pathlib
import time
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
from flax import nnx

import bnnjax as bx
from bnnjax.cost.report import Report
from bnnjax.report import provenance

from .networks import NETWORKS, RULE, Made, Network

STEPS, RATE = 20, 1e-4
PROCESS = pathlib.Path("/proc/self")


def growth(run: Callable[[], Any]) -> tuple[Any, int]:
  """The result of a function, and by how much it raised the memory (bytes).

  Resident memory at its peak while the function runs, less that before (Linux).
  """
  gc.collect()
  (PROCESS / "clear_refs").write_text("5")  # the peak is the present value
  before = _memory("VmRSS")
  result = run()
  return result, _memory("VmHWM") - before


def _memory(name: str) -> int:
  lines = (PROCESS / "status").read_text().splitlines()
  line = next(line for line in lines if line.startswith(name))
  return int(line.split()[1]) * 1024


def kernels(report: Report) -> dict[str, bool]:
  """Parameters that contractions read: whether with one bit."""
  found: dict[str, bool] = {}
  for row in report.rows:
    for path in row.parameters:
      found[path] = found.get(path, False) or row.w_bits == 1
  return found


def costs(before: Report, after: Report) -> dict[str, int]:
  """What a conversion says of layers and costs."""
  layers = kernels(after)
  return {
    "layers": len(layers),
    "binarized": sum(layers.values()),
    "ace_before": before.ace,
    "ace_after": after.ace,
  }


def measured(name: str) -> dict[str, Any]:
  """The record of a network."""
  network, began = NETWORKS[name], time.perf_counter()
  made = network.shapes() if network.abstract else network.made()
  _warm_up()
  of = _module if made.fn is None else _function
  record = {"network": name, "class": network.path, **of(network, made)}
  arrays = jax.tree.leaves(_state(made.model))
  package = network.package.name
  return record | {
    "package": package,
    "package_version": importlib.metadata.version(package),
    "abstract": network.abstract,
    "examples": made.args[0].shape[0],
    "weights": sum(math.prod(x.shape) for x in arrays),
    "model_bytes": sum(math.prod(x.shape) * x.dtype.itemsize for x in arrays),
    "seconds": time.perf_counter() - began,
    "commit": provenance.git_commit(),
    "versions": provenance.versions(),
  }


def converted(network: Network, made: Made) -> dict[str, int]:
  """Converts a network and counts it, without its memory."""
  rules = {network.layers: network.rule}
  if made.fn is None:
    _, report = bx.binarize(made.model, rules, *made.args)
    return costs(report.before, report.after)
  fn, params = bx.binarize_fn(made.fn, made.model, rules, *made.args)
  before = bx.count(made.fn, made.model, *made.args)
  return costs(before, bx.count(fn, params, *made.args))


def _module(network: Network, made: Made) -> dict[str, Any]:
  model, rules = made.model, {network.layers: network.rule}
  model.eval()
  graph, state = nnx.graphdef(model), _copied(model)
  (_, report), grown = growth(lambda: bx.binarize(model, rules, *made.args))
  bx.unbinarize(model)
  same = graph == nnx.graphdef(model) and _equal(state, _copied(model))
  found = costs(report.before, report.after) | {
    "growth": grown,
    "to_the_bit": same,
  }
  if network.abstract:
    return found
  bx.binarize(model, rules, *made.args)
  model.train()
  bx.set_progress(model, bx.Progress.at(0, STEPS, 1.0))
  graph, params, rest = nnx.split(model, nnx.Param, ...)

  def logits(params):
    return made.logits(nnx.merge(graph, params, rest, copy=True)(*made.args))

  return found | {"losses": _trained(logits, params)}


def _function(network: Network, made: Made) -> dict[str, Any]:
  rules = {network.layers: network.rule}
  (fn, params), grown = growth(
    lambda: bx.binarize_fn(made.fn, made.model, rules, *made.args)
  )
  before = bx.count(made.fn, made.model, *made.args)
  return costs(before, bx.count(fn, params, *made.args)) | {
    "growth": grown,
    "to_the_bit": None,
    "losses": _trained(lambda p: fn(p, *made.args), params),
  }


def _trained(logits: Callable[[Any], jax.Array], params: Any) -> list[float]:
  """First and last loss of some steps, on two examples with random labels."""
  shape = jax.eval_shape(logits, params).shape
  labels = jax.random.randint(jax.random.key(2), shape[:-1], 0, shape[-1])
  optimizer = optax.adam(RATE)

  def loss(params):
    each = optax.softmax_cross_entropy_with_integer_labels
    return each(logits(params), labels).mean()

  @jax.jit
  def step(params, state):
    value, slope = jax.value_and_grad(loss)(params)
    update, state = optimizer.update(slope, state)
    return optax.apply_updates(params, update), state, value

  state, losses = optimizer.init(params), []
  for _ in range(STEPS):
    params, state, value = step(params, state)
    losses.append(float(value))
  assert all(map(math.isfinite, losses))
  return [losses[0], losses[-1]]


def _warm_up() -> None:
  """A first conversion, so that what jax keeps once is not counted."""
  layers = [nnx.Linear(4, 4, rngs=nnx.Rngs(i)) for i in range(3)]
  bx.binarize(nnx.Sequential(*layers), {".*": RULE}, jnp.ones((1, 4)))
  weights = [jnp.eye(4)] * 3
  fn = lambda p, x: x @ p[0] @ p[1] @ p[2]  # noqa: E731
  bx.binarize_fn(fn, weights, {".*": RULE}, jnp.ones((1, 4)))


def _state(model: Any) -> Any:
  if isinstance(model, nnx.Module):
    return nnx.state(model, nnx.Not(nnx.RngState))
  return model


def _copied(model: nnx.Module) -> list[Any]:
  """The arrays, or shapes, of a module."""
  leaves = jax.tree.leaves(_state(model))
  if leaves and isinstance(leaves[0], jax.ShapeDtypeStruct):
    return leaves
  return [*map(np.array, leaves)]


def _equal(one: list[Any], other: list[Any]) -> bool:
  pairs = zip(one, other, strict=True)
  return all(
    a.tobytes() == b.tobytes() if isinstance(a, np.ndarray) else a == b
    for a, b in pairs
  )
