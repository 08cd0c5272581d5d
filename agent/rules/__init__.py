"""Tracks into rule hits: one small file per rule."""
