"""What a training leaves: a run's folder, its checkpoints, and their copies. One door: `Run`."""

from colorlib.runs.run import Run, architecture, build, list_runs, table

__all__ = ["Run", "architecture", "build", "list_runs", "table"]
