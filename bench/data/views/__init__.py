"""Features extracted once from pictures and texts, and kept as memory maps below the data root.

May import: contract, disk, errors, isolation, plugins, progress, records.
"""
