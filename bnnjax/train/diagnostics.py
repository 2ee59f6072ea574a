"""Measures of the binarized weights during training, logged at an interval.

Off by default; `config.diagnostics = N` writes a line to `diagnostics.jsonl`
every N steps. The measures `RECORDED` of the last line go into the record.
"""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from etils import epath
from flax import nnx

from bnnjax.core import diagnostics as measures
from bnnjax.core.binarizer import Binarizer
from bnnjax.core.progress import Mode, Progress
from bnnjax.core.schedule import resolve
from bnnjax.layers.binarize import Binarize
from bnnjax.layers.quantized_weight import QuantizedWeight
from bnnjax.layers.variables import STACKED, LatentWeight
from bnnjax.train import accumulate as accumulate_lib
from bnnjax.train import writers
from bnnjax.train.networks import Network
from bnnjax.train.state import State

BINS = 20  # of the latent weights' histogram, over [-1, 1] times the largest
RECORDED = ("estimating_error", "gradient_variance")


def binarized(values: Any, network: Network) -> dict[str, jax.Array]:
  """Splits what belongs to the layers of a stack; one entry per layer.

  Args:
    values: of latent and binary weights, by dotted path of the variable.
    network: that has these weights.

  Example:
    >>> binarized({"stack.kernel": jnp.zeros((2, 4, 4))}, network)
    {'stack.kernel.0': ..., 'stack.kernel.1': ...}  # each [4, 4]
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
  """Shapes and shardings of the arrays that `Diagnostics.saved` returns.

  Args:
    every: see `Diagnostics`.
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


def powers(network: Network, mode: Mode) -> dict[str, Any]:
  """ReSTE's power `o` of each latent weight, by dotted path of the variable.

  It is that of the weight's binarizer at this point of the run. A binarizer
  with another estimator has none: 1, the straight-through estimator.
  """
  made = _binarizers(network)
  found = {}
  for name, variable in _variables(network):
    o = 1.0
    if name in made and made[name].estimator.name == "reste":
      hp = made[name].estimator.hyper(**resolve(made[name].estimator_hp, mode))
      o = hp["o"]
    if variable.get_metadata(STACKED, False):
      o = jnp.broadcast_to(o, variable.shape[:1])
    found[name] = o
  return found


def _binarizers(network: Network) -> dict[str, Binarizer]:
  """The binarizers of latent weights, by dotted path of the variable."""
  found = {}
  for path, module in nnx.iter_modules(network.abstract):
    if isinstance(module, QuantizedWeight):
      for plan in module.plans:
        if plan.binarizer is not None:
          made = module.binarizers[plan.binarizer].binarizer
          found[(*path, "values", plan.value)] = made
    elif isinstance(getattr(module, "weight", None), Binarize):
      for name, variable in vars(module).items():
        if isinstance(variable, LatentWeight):
          found[(*path, name)] = module.weight.binarizer
  return {".".join(map(str, path)): made for path, made in found.items()}


def make_diagnose(
  network: Network,
  task: Any,
  *,
  steps: int,
  epochs: float,
  teacher: Network | None = None,
  accumulate: int = 1,
) -> Callable[..., tuple[dict[str, Any], dict[str, jax.Array]]]:
  """Makes `(state, last signs, batch, teacher_state) -> (measures, signs)`.

  Measures of each layer: `flips`, the share of signs that changed since the
  last line; `balance`, the mean sign, and its spread over output channels;
  `histogram` of the latent weights over [-edge, edge], and `edge`; ReSTE's two
  indicators `estimating_error`, `||f_o(w) - sign(w)||_2` at the power `o` that
  the step uses (see `powers`), and `gradient_variance`, `var(|g|)` over the
  weights of the layer (eq. 8 and 9). The measures `RECORDED` of the line itself
  are means of these over the layers, absent if nothing is binarized; the paper
  prints sums.
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
    o = binarized(powers(network, mode), network)
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
        "estimating_error": measures.estimating_error(w, o[name]),
        "gradient_variance": measures.gradient_stability(grads[name]),
      }
    measured = {
      measure: sum(layer[measure] for layer in layers.values()) / len(layers)
      for measure in RECORDED
      if layers
    }
    return {**measured, "layers": layers}, _signs(flat)

  return diagnose


@jax.jit
def _signs(values):
  # Copies of one byte per sign: the train step donates the state's own arrays.
  return jax.tree.map(
    lambda x: jnp.where(x >= 0, 1, -1).astype(jnp.int8), values
  )


class Diagnostics:
  """Writes a line of measures every `every` steps of a stage; 0 is off.

  Args:
    workdir: of the run.
    every: steps between two lines.
    diagnose: see `make_diagnose`.
    network: of the stage.
    params: before the first step.
    before: what `saved` returned when the checkpoint was made from which the
      run resumes; `None` at the start of a stage.
    start: step that the run resumes at; later lines are dropped.
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
    self._every, self._diagnose, self._file = every, diagnose, None
    if every and active:
      self._file = writers.JsonlWriter(workdir / "diagnostics.jsonl", start)
    self._before = {}
    if every:
      self._before = before or _signs(_flat(params, network))

  def step(
    self, number: int, state: State, batch: Any, teacher_state: Any = None
  ) -> dict[str, float]:
    """Called after optimizer step `number`.

    Returns:
      The measures `RECORDED` if this step has a line, else none.
    """
    if not self._every or number % self._every:
      return {}
    got, self._before = self._diagnose(
      state, self._before, batch, teacher_state
    )
    got = jax.device_get(got)
    if self._file:
      self._file.write(number, jax.tree.map(lambda x: x.tolist(), got))
    return {name: float(got[name]) for name in RECORDED if name in got}

  def saved(self) -> dict[str, jax.Array]:
    """The signs at the last line, by dotted path of the variable.

    A checkpoint stores them, so that `flips` continue after a resume. Empty if
    diagnostics are off.
    """
    return self._before
