"""How good it is: figures made of what the system said and of what is true."""
