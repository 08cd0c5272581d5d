"""The technician: command line and page on the box."""
