from . import fits as fits
from . import plots as plots
from .summary import changed as changed
from .summary import fit_text as fit_text
from .summary import write as write
from .summary import write_network as write_network
