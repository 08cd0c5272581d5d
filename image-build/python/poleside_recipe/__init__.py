"""Making of the image, on the builder's machine: partitions, file systems, parts lists."""
