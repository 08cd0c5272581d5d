"""Typed messages between processes and stages inside the box."""
