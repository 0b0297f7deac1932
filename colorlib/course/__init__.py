"""What surrounds a lesson: Colab and Drive, the notebooks as files, the exercises' checks. One door: `start`."""

from colorlib.course.colab import start

__all__ = ["start"]
