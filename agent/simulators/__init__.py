"""What stands in where hardware or a city is missing: camera, board, broker, center, demo. Each says that it is a simulator."""
