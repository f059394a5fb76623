"""Optima under a constraint, one file each."""
