"""Datasets on disk: download, unpack, cache, statistics, and problems that would invalidate results.

May import: contract, data.views, errors, plugins, progress, records, threads.
"""
