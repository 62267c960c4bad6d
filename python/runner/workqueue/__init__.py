"""Keys that wait to be worked on."""
