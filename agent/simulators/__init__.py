"""What stands in where hardware or a city is missing; each part says that it is a simulator."""
