"""Colorization of black-and-white photographs: the shared logic of the notebooks.

`import colorlib` imports nothing heavy; TensorFlow loads with the first module that needs it.
"""

__version__ = "0.1.0"


class ColorlibError(Exception):
    """What is wrong, where, and what to do next: a message for the reader, who needs no traceback."""
