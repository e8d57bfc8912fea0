"""Section 3's constructions, section 4's lower bounds, and the symmetric tensors of both."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
