"""What a data set holds, and whether it is right: checks, statistics, pictures."""
