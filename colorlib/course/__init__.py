"""What surrounds a lesson: Colab and Drive, the notebooks as files, the exercises' checks."""

from colorlib.course.colab import start

__all__ = ["start"]
