"""A process of its own for code that must not touch the harness: started, asked, limited and ended here.

May import: contract, disk, errors, plugins, progress, threads.
"""
