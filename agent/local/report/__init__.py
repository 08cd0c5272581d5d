"""The acceptance report: what a technician hands over when the pole stands, as HTML and PDF."""
