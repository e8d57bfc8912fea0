"""lawjax: how large must a two-layer network be to be smooth? The law of robustness, measured.

After S. Bubeck, Y. Li, D. Nagaraj, "A law of robustness for two-layers neural networks" (COLT 2021), whose sections,
theorems and conjectures the docstrings cite.

What this package offers is listed in `__init__.pyi`, and imported when it is first used.
"""

import lazy_loader

__version__ = "0.1.0"
__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
