"""Reporting: what a person reads."""
