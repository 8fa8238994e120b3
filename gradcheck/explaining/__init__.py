"""Explaining: which bug fits."""
