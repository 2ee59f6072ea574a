"""What layers ask of the numbers that they are given."""


def check_sizes(**sizes: int) -> None:
  """Refuses sizes below 1.

  Raises:
    ValueError: names the first.
  """
  for name, size in sizes.items():
    if size < 1:
      raise ValueError(f"`{name}` must be at least 1, got {size}.")
