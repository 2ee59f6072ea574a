"""What one looks at while a binary network trains, logged at an interval.

Off by default; `config.diagnostics = N` writes a line to `diagnostics.jsonl`
every N steps.
"""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from etils import epath
from flax import nnx

from bnnjax.core import diagnostics as measures
from bnnjax.core.progress import Mode, Progress
from bnnjax.layers.variables import STACKED, LatentWeight
from bnnjax.train import accumulate as accumulate_lib
from bnnjax.train import writers
from bnnjax.train.state import Network, State

BINS = 20  # of the latent weights' histogram, over [-1, 1] times the largest


def binarized(values: Any, network: Network) -> dict[str, jax.Array]:
  """What belongs to latent and binary weights, those of a stack one by one.

  Args:
    values: by dotted path of the variable, see `_flat`.
    network: that they are of.
  """
  found = {}
  for name, variable in _variables(network):
    if variable.get_metadata(STACKED, False):
      layers = enumerate(values[name])
      found |= {f"{name}.{number}": layer for number, layer in layers}
    else:
      found[name] = values[name]
  return found


def saved_like(every: int, params: Any, network: Network) -> dict[str, Any]:
  """Shapes and shardings of what `Diagnostics.saved` gives.

  Args:
    every: as of `Diagnostics`.
    params: arrays or `jax.ShapeDtypeStruct`s of the network.
    network: of the stage.
  """
  if not every:
    return {}
  return {
    name: jax.ShapeDtypeStruct(x.shape, jnp.int8, sharding=x.sharding)
    for name, x in _flat(params, network).items()
  }


def _variables(network: Network) -> list[tuple[str, nnx.Variable]]:
  found = nnx.to_flat_state(nnx.state(network.abstract, LatentWeight))
  return [(".".join(map(str, path)), variable) for path, variable in found]


def _flat(params: Any, network: Network) -> dict[str, Any]:
  """The parameters that are binarized, by dotted path."""
  flat = nnx.traversals.flatten_mapping(params)
  flat = {".".join(map(str, path)): value for path, value in flat.items()}
  return {name: flat[name] for name, _ in _variables(network)}


def make_diagnose(
  network: Network,
  task: Any,
  *,
  steps: int,
  epochs: float,
  teacher: Network | None = None,
  accumulate: int = 1,
) -> Callable[..., tuple[dict[str, Any], dict[str, jax.Array]]]:
  """`(state, signs of the last time, batch, teacher_state) -> measures, signs`.

  Per layer: `flips` since the last time, `balance` (mean sign; its spread over
  the output channels), `histogram` of the latent weights with its `edge`. Over
  all layers: ReSTE's `estimating_error` at o = 1 and `gradient_stability`.
  """
  gradient = accumulate_lib.make_gradient(network, task, teacher, accumulate)

  @jax.jit
  def diagnose(state, before, batch, teacher_state):
    mode = Mode.training(Progress.at(state["step"], steps, epochs))

    flat = _flat(state["params"], network)
    weights, old = binarized(flat, network), binarized(before, network)
    _, grads = gradient(
      state["params"], state["rest"], batch, mode, teacher_state
    )
    grads = binarized(_flat(grads, network), network)
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
    measured = {
      "estimating_error": measures.estimating_error(weights, 1.0),
      "gradient_stability": measures.gradient_stability(grads),
      "layers": layers,
    }
    return measured, _signs(flat)

  return diagnose


@jax.jit
def _signs(values):
  # Of one byte each, and no part of a state that the train step donates.
  return jax.tree.map(
    lambda x: jnp.where(x >= 0, 1, -1).astype(jnp.int8), values
  )


class Diagnostics:
  """Measures every `every` steps of a stage; 0 is off.

  Args:
    workdir: of the run.
    every: steps between two lines.
    diagnose: see `make_diagnose`.
    network: of the stage.
    params: before the first step.
    before: what `saved` gave when the checkpoint was made that the run goes on
      from; `None` at the start of a stage.
    start: step that the run goes on from; later lines go.
    active: False on processes other than the first, which compute but do not
      write.
  """

  def __init__(
    self,
    workdir: epath.Path,
    every: int,
    diagnose: Callable[..., Any],
    network: Network,
    params: Any,
    *,
    before: dict[str, jax.Array] | None = None,
    start: int = 0,
    active: bool = True,
  ):
    self._every, self._diagnose, self._active = every, diagnose, active
    self._file = workdir / "diagnostics.jsonl"
    if every and active:
      writers.truncate(self._file, start)
    self._before = {}
    if every:
      self._before = before or _signs(_flat(params, network))

  def step(
    self, number: int, state: State, batch: Any, teacher_state: Any = None
  ) -> None:
    """After optimizer step `number`."""
    if not self._every or number % self._every:
      return
    got, self._before = self._diagnose(
      state, self._before, batch, teacher_state
    )
    got = jax.device_get(got)
    if self._active:
      line = {"step": number} | jax.tree.map(lambda x: x.tolist(), got)
      writers.append_line(self._file, line)

  def saved(self) -> dict[str, jax.Array]:
    """What a checkpoint keeps, so that `flips` go on: signs at the last line.

    By dotted path of the variable; empty when off.
    """
    return self._before
