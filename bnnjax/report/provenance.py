"""Where a number comes from: commit, versions of packages, device."""

import importlib.metadata
import os
import platform
import subprocess

from etils import epath

PACKAGES = (
  "bnnjax", "jax", "jaxlib", "flax", "optax", "orbax-checkpoint", "grain", "numpy"
)  # fmt: skip


def git_commit() -> str | None:
  """Commit of the code that runs, `-dirty` with local changes; or `None`."""
  root = epath.Path(__file__).parent

  def git(*arguments):
    return subprocess.run(
      ["git", "-C", os.fspath(root), *arguments],
      capture_output=True,
      text=True,
      check=True,
    ).stdout.strip()

  try:
    # Installed inside another repository, this file is not tracked there.
    git("ls-files", "--error-unmatch", os.path.basename(__file__))
    # Records are not code: an earlier run may have appended to one.
    code = ("--", ":/", ":(exclude,top)*.jsonl")
    dirty = git("status", "--porcelain", "--untracked-files=no", *code)
    return git("rev-parse", "HEAD") + ("-dirty" if dirty else "")
  except (OSError, subprocess.CalledProcessError):
    return None  # installed from a wheel, whose version `versions` has


def versions() -> dict[str, str]:
  """Versions of Python and of the packages that numbers depend on."""
  found = {"python": platform.python_version()}
  for package in PACKAGES:
    try:
      found[package] = importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
      continue
  return found


def device() -> str:
  """The accelerators in words, e.g. `2 x cpu`."""
  import jax  # here, so that reading records does without

  return f"{jax.device_count()} x {jax.devices()[0].device_kind}"
