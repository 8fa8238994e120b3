"""Measuring: how steep is the loss."""
