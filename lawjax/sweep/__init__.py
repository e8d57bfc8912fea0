"""Sweeps: grids of networks trained many at a time, measured, stored as they end; resumed, extended, inspected.

    from lawjax import sweep

    config = sweep.SweepConfig(sweep.Grid(n=(100, 200), d=(50,), k=(10, 50), seeds=3))
    table = sweep.run(config, "runs/mine", probes={"margin": lambda f, data: {"least": (data.y * f(data.x)).min()}})

What this room offers is listed in `__init__.pyi`, and imported when it is first used.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
