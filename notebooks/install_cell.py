# @title Install bnnjax (does nothing where it is installed)
import glob
import importlib.metadata
import importlib.util
import os
import pathlib
import shutil
import subprocess
import sys

SOURCE = ""  # a checkout, or "git+https://..."


def found_source():
  """What pip installs: `SOURCE`, else the checkout around this folder."""
  if SOURCE.startswith("git+"):
    return SOURCE
  here = pathlib.Path(SOURCE).expanduser().resolve()
  for folder in [here] if SOURCE else [here, *here.parents]:
    project = folder / "pyproject.toml"
    if project.is_file() and 'name = "bnnjax"' in project.read_text("utf-8"):
      return folder.as_uri()
  where = f"at {here}" if SOURCE else f"in {here} or above it"
  raise FileNotFoundError(
    f"bnnjax is not installed, and there is no checkout of it {where}. Set SOURCE"
    ' to the folder of a checkout, or to "git+" and the URL of its repository.'
  )


def runtime_jax():
  """The jax of this machine: for an NVIDIA GPU, a TPU, or the CPU."""
  smi = shutil.which("nvidia-smi")
  if (
    smi and b"GPU 0" in subprocess.run([smi, "-L"], capture_output=True).stdout
  ):
    return "jax[cuda12]"
  on_colab = os.environ.get("COLAB_TPU_1VM") == "1"
  if on_colab or glob.glob("/dev/accel[0-9]*") or glob.glob("/dev/vfio/[0-9]*"):
    return "jax[tpu]"
  return "jax"


# A checkout in this folder can be found without what it needs.
needed = ("bnnjax", "clu", "jax")
if None in map(importlib.util.find_spec, needed):
  source, jax_extra = found_source(), runtime_jax()
  print(f"Installing bnnjax from {source} and {jax_extra} (minutes) ...")
  pip = [sys.executable, "-m", "pip", "install", "--quiet"]
  wanted = [f"bnnjax[notebooks] @ {source}", jax_extra]
  ran = subprocess.run([*pip, *wanted], capture_output=True, text=True)
  if ran.returncode:
    raise RuntimeError(f"pip could not install bnnjax:\n{ran.stderr}")
  importlib.invalidate_caches()
  for name in ("jax", "matplotlib", "numpy"):
    loaded = getattr(sys.modules.get(name), "__version__", None)
    if loaded not in (None, importlib.metadata.version(name)):
      raise RuntimeError(
        f"bnnjax is installed, but this kernel has already loaded {name} {loaded}:"
        " restart it (Colab: Runtime > Restart session), and run from the top."
      )
