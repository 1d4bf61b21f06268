"""Running the network on a stream: `load`, `Stream`, the session, the tracker, sensor health."""
