"""The process table and the wiring: which process runs what, and how the stages are joined."""
