"""The demo's page: what happens at the pole beside what the center sees of it."""
