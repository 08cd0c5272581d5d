"""The command `poleside`."""
