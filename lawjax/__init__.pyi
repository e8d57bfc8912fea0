# Everything public: for type checkers, and for `__init__.py`, which imports each name when it is first used.
from . import activations as activations
from . import data as data
from . import frontier as frontier
from . import keys as keys
from . import lipschitz as lipschitz
from . import report as report
from . import sweep as sweep
from .data import Dataset as Dataset
from .domains import Ball as Ball
from .domains import Space as Space
from .domains import Sphere as Sphere
from .errors import UserError as UserError
from .lipschitz import Bracket as Bracket
from .lipschitz import Search as Search
from .lipschitz import bracket as bracket
from .network import TwoLayer as TwoLayer
from .report import fits as fits
from .report import plots as plots
from .theory import constructions as constructions
from .theory import lower_bounds as lower_bounds
from .theory import tensors as tensors
from .train.config import TrainingConfig as TrainingConfig
from .train.pack import Status as Status
from .train.training import Memorized as Memorized
from .train.training import loss_curve as loss_curve
from .train.training import memorize as memorize

__version__: str
