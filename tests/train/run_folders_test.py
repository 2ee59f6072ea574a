"""Folders of runs by name."""

import pytest

from bnnjax.train import run_folders


@pytest.mark.parametrize(
  ("given", "near"),
  [
    ("net-method=ste,images=10", "net-method=ste-images=10"),
    ("net-method=ste/", "net-method=ste-images=10"),
    ("net-method=ste-image=10", "net-method=ste-images=10"),
    ("zzz", None),
    ("nowhere/net-method=ste-images=10", None),
  ],
)
def test_the_nearest_run_is_named(tmp_path, given, near):
  for name in ("net-method=ste-images=10", "net-method=reste-images=10"):
    (tmp_path / name).mkdir()
    (tmp_path / name / "config.json").write_text("{}")
  (tmp_path / "net-method=ste").mkdir()  # nearer, but no run
  text = str(run_folders.no_run(f"{tmp_path}/{given}"))
  assert "holds no run" in text
  wanted = f"exist. Did you mean '{tmp_path}/{near}'?" if near else "exist."
  assert text.endswith(wanted)
