"""The mode of layers: as an argument, or from `train()` and `set_progress`.

A layer may be called with a `Mode`. Without one, each of its parts follows
`model.train()`, `model.eval()` and `set_progress`; by default it computes as
deployed. Containers pass on the `mode` that they got.
"""

import contextlib
import functools
import inspect
import os
import warnings

import flax
import jax
import jax.numpy as jnp
from flax import nnx

import bnnjax
from bnnjax import deprecated
from bnnjax.core.progress import DEPLOYED, Mode, Progress


class RunProgress(nnx.Cache):
  """The `Progress` that a training loop gives to a model, see `set_progress`.

  It is a cache, which is neither trained nor counted nor deployed.
  """


class ModeAware(nnx.Module):
  """A module whose computation depends on the mode.

  Attributes:
    deterministic: False in training; set by `train()` and `eval()` of any
      module that holds this one.
    progress: shared by all parts of a model with the same `stacked`, or `None`.
    stacked: sizes of the leading axes that all arrays of this part have because
      several were made as one (`nnx.vmap`), for a scan or a vmap over them.
  """

  deterministic: bool = True
  progress: RunProgress | None = None
  stacked: tuple[int, ...] = ()

  @property
  def trains(self) -> bool:
    """Whether this part is in training."""
    return not self.deterministic

  def set_view(self, deterministic: bool | None = None) -> None:
    """Lets `nnx.view(model, deterministic=...)` reach this part."""
    if deterministic is not None:
      self.deterministic = deterministic


def mode_of(part: ModeAware, given: Mode | None) -> Mode:
  """The given mode; without one, that of the part.

  Raises:
    TypeError: neither a mode nor `None`.
    ValueError: the progress is that of several stacked parts.
  """
  if given is None:
    if not part.trains:
      return DEPLOYED
    if part.progress is None:
      return Mode.training(None)
    progress = part.progress.get_value()
    if progress.step.ndim:
      raise ValueError(
        "A layer got the progress of several stacked layers, of the shape"
        f" {progress.step.shape}: scan or map over the whole state of the layers,"
        " as `nnx.scan(in_axes=(0, ...))` does, and call `set_progress` outside."
      )
    return Mode.training(progress)
  if not isinstance(given, Mode):
    raise TypeError(
      "The second argument of a layer is a `Mode` (or nothing, after"
      f" `model.train()` or `model.eval()`), got {given!r}."
    )
  return given


def parts(model: nnx.Module) -> list[ModeAware]:
  """All parts of a model that depend on the mode."""
  return [m for _, m in nnx.iter_modules(model) if isinstance(m, ModeAware)]


def mode_of_model(model: nnx.Module) -> Mode:
  """The mode of a whole model.

  Raises:
    ValueError: some parts are in training and others are not.
  """
  found = parts(model)
  if len({part.trains for part in found}) > 1:
    raise ValueError(
      "Some parts of the model are in training, others are not: pass `mode=`."
    )
  return mode_of(found[0], None) if found else DEPLOYED


def set_progress(model: nnx.Module, progress: Progress) -> None:
  """Sets the progress of a run, for loops that pass no `Mode`. In place.

  Annealed methods read it after `model.train()`. The first call adds one
  variable (a `RunProgress`, not a parameter) to the model, later calls change
  its value. So a step is traced only once: with `nnx.jit`, or with `jax.jit` if
  `nnx.split` comes after the first call. An explicit `mode=` has its own
  progress.

  Args:
    model: a module of this package, or any module that contains such.
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
  for stacked in {part.stacked for part in found}:
    alike = [part for part in found if part.stacked == stacked]
    value = progress
    if stacked:
      spread = functools.partial(jnp.broadcast_to, shape=stacked)
      value = jax.tree.map(spread, progress)
    _share(alike, value)


def _share(alike: list[ModeAware], value: Progress) -> None:
  """Gives parts one variable with a progress."""
  known = [part.progress for part in alike if part.progress is not None]
  variable = known[0] if known else RunProgress(value)
  try:
    variable.set_value(value)
  except flax.errors.TraceContextError:
    # It belongs to an outer trace: the model was merged inside a transform.
    variable = RunProgress(value)
  for part in alike:
    if part.progress is not variable:
      part.progress = variable


def step_key(stored: nnx.Variable, mode: Mode, told: str = "") -> jax.Array:
  """The random key of a layer at this step and microbatch.

  It depends on the seed and the step alone, so that a resumed run draws the
  same numbers as an uninterrupted one.

  Args:
    stored: key data of a `layers.variables.TrainingRng`.
    mode: without a progress the key is always the same.
    told: what the key is for, named in a warning if there is no progress; empty
      for no warning.
  """
  key = jax.random.wrap_key_data(stored[...])
  if mode.progress is not None:
    return mode.fold_in(key)
  if told:
    warn_without_progress(told)
  return key


def warn_without_progress(what: str) -> None:
  """Warns once about training without a progress."""
  _warn_once(
    "progress",
    f"{what} follows the progress of a run, but the model in training was"
    " told none: it computes as at the end of the run. Call"
    " `bx.set_progress(model, bx.Progress.at(step, steps, epochs))` before each"
    " step, or pass `mode=Mode.training(progress)`.",
  )


@functools.partial(jax.custom_jvp, nondiff_argnums=(0,))
def warn_if_differentiated(what: str, x: jax.Array) -> jax.Array:
  """Returns `x`; warns once if a gradient is taken through it.

  Layers only do this without an explicit mode: a caller that passes
  `mode=DEPLOYED` wants that gradient (for a saliency map, or to compare code).

  Args:
    what: name of what would compute differently in training.
    x: `[...]`, its result.
  """
  del what
  return x


@warn_if_differentiated.defjvp
def _watched_jvp(what, primals, tangents):
  _warn_once(
    "gradient",
    f"A gradient was taken through {what} of the deployed network, where"
    " schedules are at their end, statistics are fixed, and training-only parts"
    " are left out. To train, call `model.train()` (and"
    " `bx.set_progress(model, progress)` before each step), or pass"
    " `mode=Mode.training(progress)`.",
  )
  return *primals, *tangents


# Topics that were warned about, and the warning filters at that time.
_SAID: dict[str, list] = {}
_LIBRARIES = tuple(
  os.path.dirname(module.__file__) for module in (bnnjax, flax, jax)
)


def _warn_once(topic: str, text: str) -> None:
  """Warns at the caller's line, once for each topic.

  `warnings.catch_warnings` and every test replace Python's filters. Then the
  warning is repeated, as Python's own registry of warnings does.
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


__getattr__ = deprecated.old_names(
  __name__,
  {
    "Moded": "bnnjax.layers.mode.ModeAware",
    "key_of_step": "bnnjax.layers.mode.step_key",
    "told": "bnnjax.layers.mode.mode_of_model",
    "watched": "bnnjax.layers.mode.warn_if_differentiated",
  },
)
