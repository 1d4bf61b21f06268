"""Running the network on a stream: session, tracks, outputs."""
