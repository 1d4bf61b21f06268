"""Corruptions of sensors by which robustness is measured."""
