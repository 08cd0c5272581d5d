"""What the image runs beside the agent: boot choice, health gate, updates, first boot.

Standard library only, run by the system's own Python: it must work on the day the agent does not.
"""
