"""Files on their way to the center by HTTP: queued on the disk, sent in parts, resumed."""
