"""Can a verdict be believed? Hard right gradients, wrong ones, and error bars, all generated."""

from .suite import Results, run, table

__all__ = ["Results", "run", "table"]
