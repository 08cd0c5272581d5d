"""From a place on the map to pan, tilt and zoom, and which camera sees a place.

Plain Python: it runs in the core, which loads no numpy; one point costs some microseconds.
"""
