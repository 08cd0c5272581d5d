"""Evidence: recordings chained and signed as they are made, clips that a stranger can check."""
