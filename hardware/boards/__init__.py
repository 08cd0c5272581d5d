"""One small module per board: which readers it is made of, and what only it has."""
