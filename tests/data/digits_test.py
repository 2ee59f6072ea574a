"""scikit-learn's digits."""

import sys

import numpy as np
import pytest

from bnnjax import data


def test_splits_are_the_whole_set():
  datasets = pytest.importorskip("sklearn.datasets")
  train, test = data.load("digits"), data.load("digits", "test")
  bunch = datasets.load_digits()
  assert len(train) + len(test) == len(bunch.target) == 1797
  np.testing.assert_array_equal(
    np.concatenate([train.labels, test.labels]), bunch.target
  )
  assert train.inputs.max() == 255


def test_says_how_to_get_scikit_learn(monkeypatch):
  monkeypatch.setitem(sys.modules, "sklearn", None)
  with pytest.raises(ImportError, match=r"pip install 'bnnjax\[digits\]'"):
    data.load("digits")
