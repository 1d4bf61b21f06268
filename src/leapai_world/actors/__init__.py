"""The actors of the embedded world: their kinds, sizes, meshes and colours."""
