"""Conditions under which robustness is measured: corruptions of sensors, faults, and frame rates.

`multicorrupt.py` has the ten corruptions of that benchmark, `stress_conditions.py` lists all
conditions.
"""
