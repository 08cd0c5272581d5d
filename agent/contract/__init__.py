"""What crosses the wire to the center. Imports msgspec and the standard library only."""
