from . import constructions as constructions
from . import lower_bounds as lower_bounds
from . import tensors as tensors
