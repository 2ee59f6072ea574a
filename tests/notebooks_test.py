"""Every notebook executes, and is the one that its source makes."""

import importlib.metadata
import importlib.util
import pathlib
import subprocess
import sys
import types

import pytest

from notebooks import build

SOURCES = build.sources()
NAMES = [source.stem for source in SOURCES]
REPOSITORY = "https://github.com/someone/bnnjax"
ROOT = pathlib.Path(__file__).parents[1]


@pytest.mark.parametrize("source", SOURCES, ids=NAMES)
def test_the_stored_notebook_is_what_its_source_makes(source):
  made = build.build(source, build.repository())
  stored = source.with_suffix(".ipynb").read_text("utf-8")
  assert stored == build.text_of(made), "run `python3 dev.py notebooks`"
  assert not any(cell.get("outputs") for cell in made.cells)
  assert "Change this line" in made.cells[-2].source + made.cells[-1].source


@pytest.mark.parametrize("source", SOURCES, ids=NAMES)
@pytest.mark.filterwarnings("default")  # of the notebook machinery, not ours
def test_it_runs(source, monkeypatch):
  monkeypatch.setenv("FAST", "1")
  monkeypatch.setenv("JAX_PLATFORMS", "cpu")
  monkeypatch.setenv("PYTHONWARNINGS", "ignore::DeprecationWarning")
  build.run(build.build(source, ""))


def test_badge_and_source_come_from_the_repository():
  source = SOURCES[0]
  plain = build.build(source, "").cells
  assert plain[1].cell_type == "code"
  assert 'SOURCE = ""' in plain[1].source
  linked = build.build(source, REPOSITORY).cells
  assert len(linked) == len(plain) + 1
  link = f"github/someone/bnnjax/blob/main/notebooks/{source.stem}.ipynb"
  assert link in linked[1].source
  assert f'SOURCE = "git+{REPOSITORY}"' in linked[2].source
  assert not build.badge("1_x", "https://elsewhere.org/bnnjax")


def test_a_source_begins_with_its_title(tmp_path):
  source = tmp_path / "1_x.py"
  source.write_text("# %%\n1 + 1\n")
  with pytest.raises(ValueError, match="must begin with a markdown cell"):
    build.build(source, "")


def test_notebooks_are_chosen_by_name_or_number():
  first = SOURCES[0]
  assert build.chosen([]) == SOURCES
  assert build.chosen(["1"]) == build.chosen([first.stem]) == [first]
  assert build.chosen([f"notebooks/{first.name}"]) == [first]
  with pytest.raises(ValueError, match=r"No notebook 'x': there are 1_"):
    build.chosen(["x"])


def test_a_notebook_that_fails_is_kept(tmp_path, monkeypatch, capsys):
  source = tmp_path / "1_x.py"
  source.write_text("# %% [markdown]\n# # X\n\n# %%\nprint(6 * 7)\n1 / 0\n")
  monkeypatch.setattr(build, "EXECUTED", tmp_path / "executed")
  assert not build.run_and_report(source)
  said = capsys.readouterr()
  assert "1_x: FAILED" in said.out
  assert "ZeroDivisionError" in said.err
  assert "42" in (tmp_path / "executed" / "1_x.ipynb").read_text()


class Machine:
  """Runs the install cell on a pretended machine; holds pip's arguments.

  Args:
    lacking: modules that are not installed.
    gpu: whether `nvidia-smi` lists one.
    tpu: whether there is a device file of one.
    pip: pip's exit status.
  """

  def __init__(self, patch, lacking=("bnnjax",), gpu=False, tpu=False, pip=0):
    self.pip, self._gpu, self._status = None, gpu, pip
    spec = importlib.util.find_spec
    patch.setattr(
      importlib.util,
      "find_spec",
      lambda name: None if name in lacking else spec(name),
    )
    patch.setattr("shutil.which", lambda name: name)
    patch.setattr("glob.glob", lambda pattern: ["/dev/accel0"] if tpu else [])
    patch.setattr(subprocess, "run", self._run)
    patch.delenv("COLAB_TPU_1VM", raising=False)

  def _run(self, command, **_):
    if "-L" in command:
      listed = b"GPU 0: T4" if self._gpu else b"No devices were found"
      return types.SimpleNamespace(stdout=listed)
    self.pip = command
    return types.SimpleNamespace(returncode=self._status, stderr="no network")

  def install(self, repository="", source=""):
    text = build.install_cell(repository)
    if source:
      text = text.replace(build.SOURCE, f"SOURCE = {source!r}")
    exec(compile(text, "install cell", "exec"), {})
    return self.pip


def test_nothing_is_installed_where_bnnjax_is(monkeypatch):
  assert Machine(monkeypatch, lacking=()).install(REPOSITORY) is None


@pytest.mark.parametrize(
  ("machine", "jax"),
  [
    ({}, "jax"),
    ({"gpu": True}, "jax[cuda12]"),
    ({"tpu": True}, "jax[tpu]"),
    ({"lacking": ("clu",)}, "jax"),
  ],
)
def test_the_jax_of_the_runtime_is_installed(machine, jax, monkeypatch, capsys):
  command = Machine(monkeypatch, **machine).install(REPOSITORY)
  assert command[:4] == [sys.executable, "-m", "pip", "install"]
  assert command[-2:] == [f"bnnjax[notebooks] @ git+{REPOSITORY}", jax]
  assert f"and {jax} " in capsys.readouterr().out


def test_colab_says_that_it_has_a_tpu(monkeypatch):
  machine = Machine(monkeypatch)
  monkeypatch.setenv("COLAB_TPU_1VM", "1")
  assert machine.install(REPOSITORY)[-1] == "jax[tpu]"


@pytest.mark.parametrize("given", [True, False])
def test_it_installs_from_a_checkout(given, monkeypatch, tmp_path):
  inner = tmp_path / "my checkout" / "notebooks"
  inner.mkdir(parents=True)
  (inner.parent / "pyproject.toml").write_text('[project]\nname = "bnnjax"\n')
  monkeypatch.chdir(tmp_path if given else inner)
  source = "my checkout" if given else ""
  command = Machine(monkeypatch).install(source=source)
  assert command[-2] == f"bnnjax[notebooks] @ {inner.parent.as_uri()}"


@pytest.mark.parametrize(
  ("source", "says"), [("", "in {} or above it"), ("nowhere", "at {}/nowhere")]
)
def test_no_checkout_is_an_error(source, says, monkeypatch, tmp_path):
  monkeypatch.chdir(tmp_path)
  machine = Machine(monkeypatch)
  with pytest.raises(FileNotFoundError) as error:
    machine.install(source=source)
  assert says.format(tmp_path.resolve()) in str(error.value)
  assert "Set SOURCE" in str(error.value)
  assert machine.pip is None


def test_what_pip_says_is_shown(monkeypatch):
  with pytest.raises(RuntimeError, match="no network"):
    Machine(monkeypatch, pip=1).install(REPOSITORY)


def test_a_kernel_with_older_modules_has_to_restart(monkeypatch):
  version = importlib.metadata.version
  monkeypatch.setattr(
    importlib.metadata,
    "version",
    lambda name: "99.0" if name == "numpy" else version(name),
  )
  with pytest.raises(RuntimeError, match=r"already loaded numpy \d.*: restart"):
    Machine(monkeypatch).install(REPOSITORY)


def test_the_environment_of_the_notebooks_is_complete():
  """What the sources import is required by bnnjax or by its extra."""
  text = (ROOT / "pyproject.toml").read_text("utf-8")
  for source in SOURCES:
    for line in source.read_text("utf-8").splitlines():
      words = line.split()
      if words[:1] in (["import"], ["from"]):
        name = words[1].partition(".")[0]
        assert name in (*sys.stdlib_module_names, "bnnjax") or (
          f'"{name}' in text.replace("_", "-")
        ), f"{source.name} imports {name}"
