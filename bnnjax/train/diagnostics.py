"""What one looks at while a binary network trains, logged at an interval.

Off by default; `config.diagnostics = N` writes a line to `diagnostics.jsonl`
every N steps.
"""

import json
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from etils import epath
from flax import nnx

from bnnjax.core import diagnostics as measures
from bnnjax.core.progress import Mode, Progress
from bnnjax.layers.binarize import STACKED, LatentWeight
from bnnjax.train.state import Network, State
from bnnjax.train.writers import truncate

BINS = 20  # of the latent weights' histogram, over [-1, 1] times the largest


def binarized(params: Any, network: Network) -> dict[str, jax.Array]:
  """Latent and binary weights by dotted path, those of a stack one by one."""
  flat = nnx.traversals.flatten_mapping(params)
  found = {}
  for path, variable in nnx.to_flat_state(
    nnx.state(network.abstract, LatentWeight)
  ):
    name = ".".join(map(str, path))
    if variable.get_metadata(STACKED, False):
      layers = enumerate(flat[path])
      found |= {f"{name}.{number}": layer for number, layer in layers}
    else:
      found[name] = flat[path]
  return found


def make_diagnose(
  network: Network,
  task: Any,
  *,
  steps: int,
  epochs: float,
  teacher: Network | None = None,
) -> Callable[..., dict[str, Any]]:
  """`(state, params of the last time, batch, teacher_state) -> measures`.

  Per layer: `flips` since the last time, `balance` (mean sign; its spread over
  the output channels), `histogram` of the latent weights with its `edge`. Over
  all layers: ReSTE's `estimating_error` at o = 1 and `gradient_stability`.
  """

  @jax.jit
  def diagnose(state, before, batch, teacher_state):
    guide = teacher and teacher.merge(teacher_state)
    mode = Mode.training(Progress.at(state["step"], steps, epochs))

    def loss(params):
      model = network.merge({"params": params, "rest": state["rest"]})
      return task.loss(model, batch, mode, guide)[0]

    weights = binarized(state["params"], network)
    old = binarized(before, network)
    grads = binarized(jax.grad(loss)(state["params"]), network)
    layers = {}
    for name, w in weights.items():
      balance = measures.sign_balance(w)
      edge = jnp.max(jnp.abs(w))
      layers[name] = {
        "flips": measures.flip_ratio(old[name], w),
        "balance": jnp.mean(balance),
        "balance_spread": jnp.std(balance),
        "histogram": jnp.histogram(w, BINS, (-edge, edge))[0],
        "edge": edge,
      }
    return {
      "estimating_error": measures.estimating_error(weights, 1.0),
      "gradient_stability": measures.gradient_stability(grads),
      "layers": layers,
    }

  return diagnose


class Diagnostics:
  """Measures every `every` steps of a stage; 0 is off.

  Args:
    workdir: of the run.
    every: steps between two lines.
    diagnose: see `make_diagnose`.
    params: before the first step.
    start: step that the run goes on from; later lines go.
    active: False on processes other than the first, which compute but do not
      write.
  """

  def __init__(
    self,
    workdir: epath.Path,
    every: int,
    diagnose: Callable[..., Any],
    params: Any,
    *,
    start: int = 0,
    active: bool = True,
  ):
    self._every, self._diagnose, self._active = every, diagnose, active
    self._file = workdir / "diagnostics.jsonl"
    if every and active:
      truncate(self._file, start)
    self._before = self._copy(params) if every else None

  def step(
    self, number: int, state: State, batch: Any, teacher_state: Any = None
  ) -> None:
    """After optimizer step `number`."""
    if not self._every or number % self._every:
      return
    got = jax.device_get(
      self._diagnose(state, self._before, batch, teacher_state)
    )
    self._before = self._copy(state["params"])
    if not self._active:
      return
    line = {"step": number} | jax.tree.map(lambda x: x.tolist(), got)
    with self._file.open("a") as file:
      file.write(json.dumps(line) + "\n")

  @staticmethod
  def _copy(params):
    # The train step donates its state: what is kept has to be a copy.
    return jax.tree.map(jnp.copy, params)
