"""Tests of the pictures: they look at pixels."""
