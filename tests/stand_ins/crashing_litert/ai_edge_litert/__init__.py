"""A broken engine in place of the real one."""
