# Everything public: for type checkers, and for `__init__.py`, which imports each name when it is first used.
from . import activations as activations
from . import constructions as constructions
from . import data as data
from . import fits as fits
from . import frontier as frontier
from . import keys as keys
from . import lipschitz as lipschitz
from . import lower_bounds as lower_bounds
from . import plots as plots
from . import report as report
from . import sweep as sweep
from . import tensors as tensors
from .config import TrainingConfig as TrainingConfig
from .data import Dataset as Dataset
from .errors import UserError as UserError
from .lipschitz import Ball as Ball
from .lipschitz import Bracket as Bracket
from .lipschitz import Search as Search
from .lipschitz import Space as Space
from .lipschitz import Sphere as Sphere
from .lipschitz import bracket as bracket
from .network import TwoLayer as TwoLayer
from .pack import Status as Status
from .training import Memorized as Memorized
from .training import loss_curve as loss_curve
from .training import memorize as memorize

__version__: str
