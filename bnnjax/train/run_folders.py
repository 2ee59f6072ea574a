"""Folders of runs by name: which one a person may have meant."""

import difflib
import os

from bnnjax.errors import LONGEST, UserError

CONFIG = "config.json"  # a folder that holds it is the workdir of a run


def no_run(workdir: os.PathLike | str) -> UserError:
  """The error for a folder that holds no run; it names the nearest one beside it.

  Example:
    >>> print(no_run("runs/net-method=ste,lr=1"))
    runs/net-method=ste,lr=1 holds no run: runs/net-method=ste,lr=1/config.json
    does not exist. Did you mean 'runs/net-method=ste-lr=1'?
  """
  path = os.fspath(workdir)
  near = _nearest(path)
  return UserError(
    f"{path} holds no run: {os.path.join(path, CONFIG)} does not exist."
    f"{f' Did you mean {near!r}?' if near else ''}"
  )


def _nearest(path: str) -> str | None:
  """The run beside a path whose name is most like that of the path."""
  parent, name = os.path.split(path.rstrip("/"))
  try:
    beside = os.listdir(parent or os.curdir)
  except OSError:  # there is no such folder
    return None
  close = difflib.get_close_matches(name[:LONGEST], beside, n=len(beside) or 1)
  found = (os.path.join(parent, other) for other in close if other != name)
  return next((f for f in found if os.path.exists(f"{f}/{CONFIG}")), None)
