"""What plugins in Python are written with: one small class a kind, and helpers that need no host.

`encaje plugin build` puts this package beside the plugin. Nothing here imports the generated bindings before the host
calls, so a plugin's modules can be imported and tested with plain Python.
"""

from .problem import Problem
from .values import case

__all__ = ["Problem", "case"]
