"""What others register: a few lines, one rule of names for every kind."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

import bnnjax as bx
from bnnjax import data, models, tasks
from bnnjax.core import registry

ESTIMATOR = """
import bnnjax as bx
import jax.numpy as jnp

@bx.estimator
def wide(x, *, width=2.0):
  return jnp.maximum(0, 1 - jnp.abs(x) / width)
"""
SCALE = """
import bnnjax as bx
import jax.numpy as jnp

@bx.scale
def root_mean_square(x, *, eps=1e-6):
  return jnp.sqrt(jnp.mean(x**2, keepdims=True) + eps)
"""
TRANSFORM = """
import bnnjax as bx

@bx.transform
def doubled(x, *, by=2.0):
  return x * by
"""
SOURCE = """
import bnnjax as bx
import numpy as np
from bnnjax import data

@bx.source
def ramps(split, *, size=8):
  images = np.arange(size * 4, dtype=np.uint8).reshape(size, 2, 2, 1)
  info = data.DatasetInfo("ramps", (2, 2, 1), 2, (0.5,), (0.5,))
  return data.ArraySource(images, np.arange(size) % 2, info)
"""
TASK = """
import bnnjax as bx
from bnnjax.tasks.classification import Classification

@bx.task
class Halved(Classification):
  def __init__(self, *, share=0.5):
    super().__init__()
    self.share = share

  def loss(self, model, batch, mode):
    loss, outputs = super().loss(model, batch, mode)
    return self.share * loss, outputs
"""
MODEL = """
import bnnjax as bx
from flax import nnx

@bx.model
class OneLayer(nnx.Module):
  def __init__(self, num_classes, image_shape, *, weight="ste", rngs):
    size = image_shape[0] * image_shape[1] * image_shape[2]
    self.head = bx.Linear(size, num_classes, weight=weight, rngs=rngs)

  def __call__(self, x, mode=None):
    return self.head(x.reshape(len(x), -1), mode)
"""
METHOD = """
import bnnjax as bx

bx.method("mine", paper="None, 2026", arxiv="2601.00001", weight="ste", act="ste")
"""


@pytest.fixture
def outside():
  """Runs code as a module that is not of the package."""

  def run(*codes):
    for code in codes:
      assert len(code.strip().splitlines()) <= 25
      exec(code, {"__name__": "__main__"})

  with registry.restored():
    yield run


def test_parts_of_a_binarizer(outside):
  outside(ESTIMATOR, SCALE, TRANSFORM, METHOD)
  spec = "doubled(by=3.0) > wide(width=4.0) | root_mean_square(eps=0.0)"
  made = bx.parse(spec, "weight")
  assert made.scale_hp == (("eps", 0.0),)
  w = jnp.array([[1.0], [-7.0]])
  np.testing.assert_allclose(made.apply(w)[0].dequantize(), [[15], [-15]])
  slope = jax.grad(lambda x: made.estimator(x, width=4.0).sum())(w)
  np.testing.assert_allclose(slope, [[0.75], [0]])
  assert bx.parse("mine", "act") == bx.parse("ste", "act")
  with pytest.raises(ValueError, match="'widht'. Did you mean 'width'"):
    bx.parse("wide(widht=1.0)", "act")


def test_a_source(outside):
  outside(SOURCE)
  assert len(data.load("ramps", "train[:50%]", size=12)) == 6
  with pytest.raises(ValueError, match="option of source 'ramps' 'sise'"):
    data.load("ramps", sise=12)


def test_a_model_and_a_task(outside):
  outside(MODEL, TASK)
  config = {"name": "one_layer", "weight": "ste|channel_l1"}
  fixed = {"num_classes": 3, "image_shape": (2, 2, 1), "max_len": 4}
  model = models.build(config, rngs=nnx.Rngs(0), **fixed)
  batch = {"image": jnp.ones((2, 2, 2, 1)), "label": jnp.array([0, 2])}
  whole, half = (
    tasks.build({"name": name, **options}).loss(model, batch, bx.Mode())[0]
    for name, options in (("classification", {}), ("halved", {"share": 0.25}))
  )
  np.testing.assert_allclose(half, whole / 4, rtol=1e-6)
  with pytest.raises(ValueError, match="Did you mean 'weight'"):
    models.build(config | {"wieght": "ste"}, rngs=nnx.Rngs(0), **fixed)
  with pytest.raises(ValueError, match="argument of task 'halved' 'shar'"):
    tasks.build({"name": "halved", "shar": 1})


def test_a_cell_that_runs_twice_replaces_what_it_registered(outside):
  for share in ("0.5", "0.75"):
    outside(TASK.replace("0.5", share), SOURCE, MODEL, SCALE, TRANSFORM)
    task = tasks.build({"name": "halved"})
    assert task.share == float(share)
    defaults = registry.accepts("task", "halved").defaults
    assert defaults == {"share": float(share)}


def test_one_rule_of_names():
  class HTMLNet2D(nnx.Module):
    def __init__(self, *, rngs):
      pass

  def plain(x):
    return x

  def words(split):
    pass

  with registry.restored():
    for way in (bx.model, bx.model()):
      assert way(HTMLNet2D) is HTMLNet2D
    bx.model("net")(HTMLNet2D)
    for named in ("html_net2d", "net"):
      assert registry.get("model", named) is HTMLNet2D
    for kind in ("estimator", "scale", "transform"):
      decorator = getattr(bx, kind)
      for way, name in ((decorator, "plain"), (decorator("other"), "other")):
        made = way(plain)
        assert registry.get(kind, name) is made
        assert made.name == name
    for way, name in ((bx.source(), "words"), (bx.source("other"), "other")):
      made = way(words)
      assert registry.get("source", name) is made is words


def test_what_cannot_be_registered_is_refused():
  class NoRngs(nnx.Module):
    pass

  with pytest.raises(TypeError, match="`__init__` takes `rngs`"):
    bx.model(NoRngs)
  with pytest.raises(TypeError, match="A task is a class"):
    bx.task("mine")(lambda: None)
  with pytest.raises(
    TypeError, match="function or a class is registered, got 3"
  ):
    bx.source(3)
  with pytest.raises(TypeError, match="'mine' takes nothing"):
    bx.source("mine")(lambda: None)
  with pytest.raises(
    TypeError, match="options that have defaults; 'mine' takes"
  ):
    bx.source("mine")(lambda split, path: None)


@pytest.mark.parametrize(
  "name", ["", "my-set", "a b", "2x", "a.b", "x\n", "a|b"]
)
def test_names_that_no_config_can_say(name):
  def plain(split):
    pass

  for kind in ("source", "estimator", "model", "task", "scale", "transform"):
    with pytest.raises(ValueError, match="A name is a word .*: got "):
      getattr(bx, kind)(name)
  plain.__name__ = name
  with pytest.raises(ValueError, match="Got .* needs one, a word"):
    bx.source(plain)


def test_a_lambda_needs_a_name():
  with registry.restored():
    for way in (bx.source, bx.source()):
      with pytest.raises(
        ValueError, match=r"lambda has no name.*`@bx.source\('mine'\)`"
      ):
        way(lambda split: None)
    made = bx.source("mine_2")(lambda split: None)
    assert registry.get("source", "mine_2") is made
