"""Files that a run leaves on disk: its folder, tables, history, worst frames and recordings."""
