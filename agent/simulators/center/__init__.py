"""A small city center for the demo and the tests: stores events once, shows them, gives orders."""
