"""The traffic of the embedded world: routes, motion and the collision filter."""
