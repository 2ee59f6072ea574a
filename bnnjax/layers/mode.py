"""What `model.train()`, `model.eval()` and `set_progress` told a layer.

A layer is called with a `Mode`, or with none: then each of its parts speaks as
it was told, and for the deployed network if it was told nothing. Containers
pass `mode` on as they got it.
"""

import contextlib
import functools
import inspect
import os
import warnings

import flax
import jax
from flax import nnx

import bnnjax
from bnnjax.core.progress import DEPLOYED, Mode, Progress


class RunProgress(nnx.Cache):
  """The `Progress` that plain loops give to a model; see `set_progress`.

  A kind of cache, because it belongs neither to what is trained nor to what is
  counted or shipped.
  """


class ModeAware(nnx.Module):
  """A part whose computation depends on the mode.

  Attributes:
    deterministic: False in training; set by `train()` and `eval()` of any
      module that holds this one.
    progress: shared by all parts of a model, or `None`.
  """

  deterministic: bool = True
  progress: RunProgress | None = None

  @property
  def trains(self) -> bool:
    """Whether this part was told to train."""
    return not self.deterministic

  def set_view(self, deterministic: bool | None = None) -> None:
    """Lets `nnx.view(model, deterministic=...)` reach this part."""
    if deterministic is not None:
      self.deterministic = deterministic


def mode_of(part: ModeAware, given: Mode | None) -> Mode:
  """The given mode, else what the part was told.

  Raises:
    TypeError: neither a mode nor `None`.
  """
  if given is None:
    if not part.trains:
      return DEPLOYED
    progress = part.progress
    return Mode.training(None if progress is None else progress.get_value())
  if not isinstance(given, Mode):
    raise TypeError(
      "The second argument of a layer is a `Mode` (or nothing, after"
      f" `model.train()` or `model.eval()`), got {given!r}."
    )
  return given


def parts(model: nnx.Module) -> list[ModeAware]:
  """All parts of a model that depend on the mode."""
  return [m for _, m in nnx.iter_modules(model) if isinstance(m, ModeAware)]


def told(model: nnx.Module) -> Mode:
  """The mode that a whole model was told.

  Raises:
    ValueError: one part trains and another does not.
  """
  found = parts(model)
  if len({part.trains for part in found}) > 1:
    raise ValueError(
      "Parts of the model were told to train, others not: pass `mode=`."
    )
  return mode_of(found[0], None) if found else DEPLOYED


def set_progress(model: nnx.Module, progress: Progress) -> None:
  """Tells a model where a run stands, for loops that pass no `Mode`. In place.

  After `model.train()`, annealed methods read it. The first call puts one
  variable (a `RunProgress`, no parameter) into the model, later ones change its
  value, so that a step compiled by `nnx.jit`, or by `jax.jit` from what
  `nnx.split` gives after the first call, is traced once. An explicit `mode=`
  has its own progress.

  Args:
    model: any module, of ours or with ours inside.
    progress: e.g. `Progress.at(step, steps, epochs)`; may be traced.

  Raises:
    TypeError: not a `Progress`.
  """
  if not isinstance(progress, Progress):
    raise TypeError(
      "`set_progress` takes a Progress, e.g. `Progress.at(step, steps,"
      f" epochs)`, got {progress!r}."
    )
  found = parts(model)
  known = [part.progress for part in found if part.progress is not None]
  variable = known[0] if known else RunProgress(progress)
  try:
    variable.set_value(progress)
  except flax.errors.TraceContextError:
    # Merged inside a transformation from variables of the outside.
    variable = RunProgress(progress)
  for part in found:
    if part.progress is not variable:
      part.progress = variable


def key_of_step(stored: nnx.Variable, mode: Mode, told: str = "") -> jax.Array:
  """The key that a layer draws with: another one each step and microbatch.

  So that it depends on the seed and the step alone, and a run that was killed
  goes on as if it had not been.

  Args:
    stored: key data, as of `layers.binarize.TrainingRng`.
    mode: without a progress the key is always the same.
    told: what draws; of that a warning tells. Empty: it does not matter.
  """
  key = jax.random.wrap_key_data(stored[...])
  if mode.progress is not None:
    return mode.fold_in(key)
  if told:
    without_progress(told)
  return key


def without_progress(what: str) -> None:
  """Warns once of training without a progress."""
  _warn_once(
    "progress",
    f"{what} follows the progress of a run, but the model that trains was told"
    " none: it computes as at the end of the run. Call `bx.set_progress(model,"
    " bx.Progress.at(step, steps, epochs))` before each step, or pass"
    " `mode=Mode.training(progress)`.",
  )


@functools.partial(jax.custom_jvp, nondiff_argnums=(0,))
def watched(what: str, x: jax.Array) -> jax.Array:
  """`x`; warns once if a gradient is taken through it.

  Layers watch what they compute without a mode: who says `mode=DEPLOYED`
  wants that gradient (a saliency map, a comparison with other code).

  Args:
    what: computes otherwise in training than in the deployed network.
    x: `[...]`, the result of it.
  """
  del what
  return x


@watched.defjvp
def _watched_jvp(what, primals, tangents):
  _warn_once(
    "gradient",
    f"A gradient was taken through {what} of the deployed network, where"
    " schedules stand at their end, statistics are fixed, and what serves the"
    " training alone is left out. To train, call `model.train()` (and"
    " `bx.set_progress(model, progress)` before each step), or pass"
    " `mode=Mode.training(progress)`.",
  )
  return *primals, *tangents


# What was said, and the filters under which it was heard.
_SAID: dict[str, list] = {}
_LIBRARIES = tuple(
  os.path.dirname(module.__file__) for module in (bnnjax, flax, jax)
)


def _warn_once(topic: str, text: str) -> None:
  """Warns at the caller's line, the first time of a topic.

  Python replaces its filters in `warnings.catch_warnings` and in every test:
  there it is said again, as Python's own memory of warnings would.
  """
  if _SAID.get(topic) is warnings.filters:
    return
  frame = inspect.currentframe()
  while frame.f_back is not None:
    file = frame.f_code.co_filename
    if not file.startswith((*_LIBRARIES, contextlib.__file__)):
      break
    frame = frame.f_back
  warnings.warn_explicit(
    text, UserWarning, frame.f_code.co_filename, frame.f_lineno
  )
  _SAID[topic] = warnings.filters
