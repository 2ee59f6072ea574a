"""How far is the default W1A1 PokeBNN from its float twin?

  bnnjax sweep experiments/fashion_mnist_mini_pokebnn.py

Same network, data, optimizer and budget; three seeds each.
"""

CONFIG = "configs/fashion_mnist_mini_pokebnn.py"


def sweep():
  """Config specs, one for each run."""
  for seed in range(3):
    yield f"{CONFIG}:seed={seed}"
    yield f"{CONFIG}:float,seed={seed}"
