"""From tables to fits, figures and Markdown: what an experiment leaves in its run directory."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
