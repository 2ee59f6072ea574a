"""Count any JAX function: MACs by bit-width, ACE, BOPs, OPs, bytes, energy."""

from bnnjax.cost.counting import count
from bnnjax.cost.energy import energy
from bnnjax.cost.report import Report

__all__ = ["Report", "count", "energy"]
