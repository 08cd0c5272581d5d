"""The demo: simulated cameras, a real broker, the real agent, a stand-in center, and a report."""
