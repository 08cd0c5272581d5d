"""Frames into regions and tracks: motion gate, detector, tracker."""
