"""Argoverse 2: reader, tables, vector map and submissions, without the av2 package."""
