"""What a method prescribes for a run, written into a config."""

import warnings

from ml_collections import ConfigDict

from bnnjax import methods  # noqa: F401 (registers every preset)
from bnnjax.core import registry


def use_method(config: ConfigDict, name: str) -> None:
  """Sets binarizers, attention, projection and events of a method, in place.

  Args:
    config: with `model.name` set.
    name: a method (`bnnjax list method`), an estimator's spec, or `float`.
  """
  config.model.update(weight=name, act=name)
  if name not in registry.registered("method"):
    return
  method = registry.get("method", name)
  takes = registry.accepts("model", config.model.name)
  if "attention" in takes and method.attention:
    config.model.attention = name
  elif method.attention:
    warnings.warn(
      f"The method {name!r} is one of attention, which the model"
      f" {config.model.name!r} does not have: what is left of it are the"
      " binarizers of the layers. Take a transformer, such as 'vit' or 'bert'.",
      stacklevel=2,
    )
  if "embedding" in takes and method.embedding.spec:
    config.model.embedding = name
  config.optim.projection = method.projection or ""
  config.events = method.events
