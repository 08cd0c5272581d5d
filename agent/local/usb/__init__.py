"""Recorded video on a USB stick: which sticks there are, and what is written on one."""
