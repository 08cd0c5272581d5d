"""The exam: footage with ground truth goes through the box's own eyes, and is scored."""
