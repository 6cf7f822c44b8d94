"""Movies on disk: one, many, while they are written, on a cluster; resumable."""
