"""Files that a command writes: never its input, whole or not at all."""

import os
import pathlib
from collections.abc import Iterable, Mapping

from bnnjax.errors import UserError


def check(path: os.PathLike | str, inputs: Iterable[str] = ()) -> None:
  """Raises `UserError` unless a file can be written there.

  Args:
    path: of the file; a link stays one.
    inputs: existing files that the command reads.
  """
  path = pathlib.Path(path)
  try:
    real = path.resolve()
    if real.is_symlink():  # Python 3.13 returns a link of a circle
      raise RuntimeError("links in a circle")
  except (OSError, RuntimeError) as error:
    raise UserError(
      f"{str(path)!r} cannot be written: its links form a circle."
    ) from error
  if real.is_dir() or not real.parent.is_dir():
    raise UserError(
      f"{str(path)!r} cannot be written: it is a folder, or lies in none."
    )
  if not real.exists():
    return
  if not real.is_file():
    raise UserError(
      f"{str(path)!r} cannot be written: it is a device or a pipe, which a file"
      " would replace."
    )
  for file in inputs:
    if os.path.exists(file) and os.path.samefile(real, file):
      raise UserError(
        f"{str(path)!r} is read by this command, which would replace it: choose"
        " another file to write."
      )


def write(files: Mapping[pathlib.Path, bytes]) -> None:
  """Writes all of the files, or none: a full disk leaves the old ones."""
  real = {path.resolve(): data for path, data in files.items()}
  drafts = {path: path.with_name(f"{path.name}.new") for path in real}
  try:
    for path, draft in drafts.items():
      draft.write_bytes(real[path])
  except BaseException:
    for draft in drafts.values():
      draft.unlink(missing_ok=True)
    raise
  for path, draft in drafts.items():
    draft.replace(path)
