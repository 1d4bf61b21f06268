"""The dynamic task: queries, temporal memory, decoder, decoding to detections."""
