"""What a training leaves: a run's folder, its checkpoints, and their copies. One door: `Run`."""

from colorlib.runs.run import (
    HISTORY_COLUMNS,
    Keeper,
    Run,
    State,
    ago,
    build,
    half_precision,
    identity_of,
    list_runs,
    restore,
    snapshot,
    table,
    unpack,
)

__all__ = [
    "HISTORY_COLUMNS",
    "Keeper",
    "Run",
    "State",
    "ago",
    "build",
    "half_precision",
    "identity_of",
    "list_runs",
    "restore",
    "snapshot",
    "table",
    "unpack",
]
