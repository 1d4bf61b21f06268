"""A checkpoint as the folder of a repository on a model hub, with a card made from its metrics."""
