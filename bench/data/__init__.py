"""Datasets on disk: download, unpack, cache, statistics, and problems that would invalidate results.

May import: contract, data.views, disk, errors, plugins, progress, records, threads.
"""
