"""The project on disk, read: root, YAML and JSON with positions, configuration, references."""
