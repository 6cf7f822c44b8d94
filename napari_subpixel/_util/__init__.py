"""Plumbing that knows nothing of molecules: files, records, generators, compiled loops, threads."""
