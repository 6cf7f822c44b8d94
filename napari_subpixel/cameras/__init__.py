"""Known cameras: a YAML file each, by name; the user's own among them."""
