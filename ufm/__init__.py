"""The referee and the laboratory for unconstrained-features models (UFM) of neural collapse.

State a problem, get its certified optimum, run its gradient flow, read the same quantities off a trained network, and
judge theorems about it. Submodules load when they are first used.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)  # pyright: ignore[reportUnsupportedDunderAll]

__version__ = "0.1.0"
