"""Can a verdict be believed? Hard right gradients, wrong ones, and error bars, all generated."""
