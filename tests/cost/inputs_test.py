"""Arguments: static ones, parameters by position, sizes that are no numbers."""

import jax
import pytest
from jax import export

from bnnjax.cost import count


def shape(*dims, dtype="float32"):
  return jax.ShapeDtypeStruct(dims, dtype)


def test_static_arguments_stay_python_values():
  def f(x, times, *, flag, name=None):
    assert isinstance(times, int)
    assert name == "a"
    return x @ x if flag else x * times

  assert count(f, shape(2, 2), 3, flag=True, name="a").total_macs == 8
  assert count(f, shape(2, 2), 3, flag=False, name="a").total_macs == 0


def test_params_of_functions_are_named_by_path():
  def f(params, x):
    return x @ params["layer"]["kernel"] + params["layer"]["bias"]

  params = {"layer": {"kernel": shape(3, 4), "bias": shape(4)}}
  report = count(f, params, shape(2, 3), params=0)
  assert [(p.path, p.role) for p in report.parameters] == [
    ("layer.bias", "bias"),
    ("layer.kernel", "kernel"),
  ]
  assert report.rows[0].path == "layer"


def test_parameters_of_a_binarized_function():
  """Those for training alone do not count; statistics of Linen are no weights."""

  def f(p, x):
    latent, extra = p["params"], p["binarizers"]["params.a"]["act"]["shift"]
    y = (x + extra + p["training_only"]["params.a"]["weight"]["noise"]) @ (
      latent["params"]["a"]
    )
    return y - latent["batch_stats"]["mean"]

  given = {
    "params": {
      "params": {"a": shape(3, 4)},
      "batch_stats": {"mean": shape(4)},
    },
    "binarizers": {"params.a": {"act": {"shift": shape(3)}}},
    "training_only": {"params.a": {"weight": {"noise": shape(3)}}},
  }
  report = count(f, given, shape(2, 3))
  assert report.parameter_count == 3 * 4 + 3
  assert report.rows[0].path == "a"


@pytest.mark.parametrize(
  ("function", "args", "words"),
  [
    (lambda x, w: x @ w, ("b, 8", (8, 2)), ("`x`", "'b'", "(b, 8)", "(1, 8)")),
    (lambda w, x: x @ w, ((8, 2), "b, 8"), ("`x`", "'b'")),
    (lambda x: x + 1, ("b, 2*t",), ("'2*t', 'b'", "(1, 1)")),
  ],
)
def test_a_symbolic_dimension_is_named(function, args, words):
  dims = [
    export.symbolic_shape(a, scope=None) if isinstance(a, str) else a
    for a in args
  ]
  with pytest.raises(ValueError, match="one size") as error:
    count(function, *(shape(*d) for d in dims))
  for word in (*words, "float32"):
    assert word in str(error.value)


def test_a_symbolic_dimension_inside_a_tree_or_a_keyword(net):
  (b,) = export.symbolic_shape("batch")
  with pytest.raises(ValueError, match=r"`tree\['x'\]\[1\]`.*'batch'"):
    count(lambda tree: tree, {"x": [shape(4, 8), shape(b, 8)]})
  with pytest.raises(ValueError, match="`y`.*'batch'"):
    count(lambda x, y: x + y, shape(4, 8), y=shape(b, 8))
  with pytest.raises(ValueError, match="`x`.*'batch'"):
    count(net, shape(b, 8))
