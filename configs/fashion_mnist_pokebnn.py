r"""PokeBNN W1A1 on the whole Fashion-MNIST: 60,000 images.

  apt-get install dataset-fashion-mnist     (or by tfds: the error says how)
  bnnjax train --config=configs/fashion_mnist_pokebnn.py

Arguments: `:float` (the same network in float), `:width=2.0`, `:smoke` (fake
images, takes seconds), `:seed=0`.
Not run here: about 20 minutes on two cores.
"""

import runpy


def get_config(arg: str = ""):
  """The default job's network and optimizer on all images."""
  mini = __file__.replace("fashion_mnist_pokebnn", "fashion_mnist_mini_pokebnn")
  config = runpy.run_path(mini)["get_config"](arg).unlock()
  if config.data.name == "fashion_mnist_mini":  # not in smoke mode
    config.data.name = "fashion_mnist"
    config.data.augment = ("pad_crop(2)", "flip")
  return config.lock()
