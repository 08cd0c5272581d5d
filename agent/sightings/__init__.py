"""Who and what was seen: one short record a track, with its look, for search without video."""
