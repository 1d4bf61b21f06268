"""The network. Start with `perception.py`: the whole system in one method."""
