"""The check: what `gradcheck.learning` is held against. The two never import each other."""
