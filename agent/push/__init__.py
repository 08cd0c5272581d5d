"""Live video from a camera's worker to a relay: the cached GOP, then what comes, as it is."""
