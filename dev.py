"""Sets up and runs bnnjax with nothing but Python: `dev.py train | test`.

  python3 dev.py train [ARGUMENTS]   the main job, or `bnnjax train ARGUMENTS`
  python3 dev.py test [ARGUMENTS]    the tests, or `pytest ARGUMENTS`
  python3 dev.py docs [ARGUMENTS]    the guides as HTML pages, by Sphinx
  python3 dev.py notebooks           makes the notebooks; `--run` runs them
  python3 dev.py setup               only the environment

The environment is `.venv`, made from `requirements.txt` (exact versions with
hashes). The core and cost tests run again on the other end of the supported
range if such an interpreter is installed. The guides have an environment of
their own, `.venv-docs`, which also holds the packages of `docs/requirements.txt`.
"""

import concurrent.futures
import os
import pathlib
import shutil
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parent
LOCK = ROOT / "requirements.txt"
DOCS = ROOT / "docs"
CONFIG = "configs/fashion_mnist_mini_pokebnn.py"
SECOND = "3.13"  # jax 0.12; the first is 3.11 with jax 0.10
SECOND_TESTS = ("tests/core", "tests/cost")


def run(*command) -> int:
  """Runs a command in the project's folder; returns its exit status."""
  return subprocess.call([str(c) for c in command], cwd=ROOT)


def check(*command) -> None:
  """Runs a command that has to succeed."""
  if run(*command):
    raise SystemExit(f"Failed: {' '.join(map(str, command))}")


def setup(
  python=sys.executable, name=".venv", more: tuple[pathlib.Path, ...] = ()
) -> pathlib.Path:
  """Makes an environment, or reuses one of the same locks; returns its Python."""
  venv = ROOT / name
  binary = venv / ("Scripts" if os.name == "nt" else "bin") / "python"
  stamp = venv / "requirements.txt"
  locked = b"".join(lock.read_bytes() for lock in (LOCK, *more))
  if stamp.exists() and stamp.read_bytes() == locked:
    return binary
  shutil.rmtree(venv, ignore_errors=True)
  print(f"Setting up {name} (once, about half a minute) ...", flush=True)
  check(python, "-m", "venv", venv)
  pip = (
    binary,
    "-m",
    "pip",
    "install",
    "--quiet",
    "--disable-pip-version-check",
  )
  # The lock is complete; some of its packages require more than we use.
  for lock in (LOCK, *more):
    check(*pip, "--no-deps", "--require-hashes", "-r", lock)
  check(*pip, "--no-deps", "--no-build-isolation", "--editable", ROOT)
  stamp.write_bytes(locked)
  return binary


def second_interpreter() -> str | None:
  """An interpreter of the other supported version with `venv`, if any."""
  if sys.version_info[:2] == tuple(map(int, SECOND.split("."))):
    return None
  places = [f"python{SECOND}", *map(str, _pyenv())]
  for place in places:
    found = shutil.which(place)
    if found and not subprocess.call([found, "-c", "import ensurepip"]):
      return found
  return None


def _pyenv() -> list[pathlib.Path]:
  versions = pathlib.Path.home() / ".pyenv" / "versions"
  return sorted(versions.glob(f"{SECOND}.*/bin/python"))


def test(arguments: list[str]) -> int:
  """All tests here, then core and cost on the other end of the range."""
  # Each worker takes whole modules, until others are idle: tests of a module
  # share what they compile.
  workers = ("-n", str(os.cpu_count() or 1), "--dist=worksteal")
  if arguments:
    return run(setup(), "-m", "pytest", *workers, *arguments)
  other = second_interpreter()
  with concurrent.futures.ThreadPoolExecutor() as pool:  # pip uses one core
    made = [pool.submit(setup)]
    if other:
      made.append(pool.submit(setup, other, ".venv-second"))
    first, *second = [environment.result() for environment in made]
  status = run(first, "-m", "pytest", *workers)
  if status:
    return status
  if not other:
    print(
      f"SKIPPED core and cost tests on Python {SECOND}: no such interpreter."
    )
    return 0
  print(f"Core and cost tests on {other}:", flush=True)
  return run(*second, "-m", "pytest", *workers, *SECOND_TESTS)


def docs(arguments: list[str]) -> int:
  """The guides as HTML pages; a warning is an error."""
  python = setup(name=".venv-docs", more=(DOCS / "requirements.txt",))
  pages = DOCS / "_build"
  shutil.rmtree(pages, ignore_errors=True)  # pages that are no more
  sphinx = (python, "-m", "sphinx", "--fail-on-warning", "--keep-going")
  status = run(*sphinx, "--quiet", *arguments, DOCS, pages)
  if not status:
    print(f"Written: {pages / 'index.html'}")
  return status


def main() -> int:
  """Dispatches on the first argument."""
  if sys.version_info < (3, 11):  # noqa: UP036 (run by any Python)
    raise SystemExit("bnnjax needs Python 3.11 or newer.")
  command, *arguments = sys.argv[1:] or ["--help"]
  if command == "train":
    arguments = arguments or [f"--config={CONFIG}"]
    return run(setup(), "-m", "bnnjax", "train", *arguments)
  if command == "test":
    return test(arguments)
  if command == "docs":
    return docs(arguments)
  if command == "notebooks":
    return run(setup(), "-m", "notebooks.build", *arguments)
  if command == "setup":
    print(setup())
    return 0
  print(__doc__)
  return int(command not in ("-h", "--help"))


if __name__ == "__main__":
  sys.exit(main())
