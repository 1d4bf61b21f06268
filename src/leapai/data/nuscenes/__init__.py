"""nuScenes: reader, tables, map expansion and submissions, without its devkit."""
