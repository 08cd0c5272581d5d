"""Readers of /proc and /sys that several boards share: each takes `root`, none raises."""
