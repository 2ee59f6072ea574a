"""Every module has its tests where one looks for them."""

import pathlib

ROOT = pathlib.Path(__file__).parents[1]


def test_every_module_has_a_test_file():
  """`bnnjax/cost/report.py`: `tests/cost/report_test.py`."""
  package, lacking = ROOT / "bnnjax", []
  for module in sorted(package.rglob("*.py")):
    path = module.relative_to(package)
    # The scripts that made the embedded data need what is not here.
    if path.stem.startswith("__") or path.parts[:2] == ("data", "embedded"):
      continue
    test = path.with_name(f"{path.stem.lstrip('_')}_test.py")
    if not (ROOT / "tests" / test).exists():
      lacking.append(str(path))
  assert not lacking
