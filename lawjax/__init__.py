"""lawjax: how large must a two-layer network be to be smooth? The law of robustness, measured.

After S. Bubeck, Y. Li, D. Nagaraj, "A law of robustness for two-layers neural networks" (COLT 2021), whose sections,
theorems and conjectures the docstrings cite.
"""

from lawjax import activations, constructions, data, fits, lower_bounds, tensors
from lawjax.config import TrainingConfig
from lawjax.data import Dataset
from lawjax.errors import UserError
from lawjax.lipschitz import Bracket, Search, bracket
from lawjax.network import TwoLayer
from lawjax.pack import Status
from lawjax.training import Memorized, loss_curve, memorize

__all__ = [
    "Bracket",
    "Dataset",
    "Memorized",
    "Search",
    "Status",
    "TrainingConfig",
    "TwoLayer",
    "UserError",
    "activations",
    "bracket",
    "constructions",
    "data",
    "fits",
    "loss_curve",
    "lower_bounds",
    "memorize",
    "tensors",
]
