"""The center's orders: signature, journal, and one small file per command."""
