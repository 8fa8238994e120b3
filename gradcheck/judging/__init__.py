"""Judging: whether the gradient says so."""
