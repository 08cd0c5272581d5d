"""Packets into crash-safe segments with an index, gaps with their cause, and retention."""
