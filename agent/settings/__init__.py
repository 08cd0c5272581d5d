"""One TOML file and the center's desired changes become typed, validated settings."""
