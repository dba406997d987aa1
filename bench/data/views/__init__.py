"""Views: what pictures and texts are turned into, once, and kept as memory maps below the data root."""
