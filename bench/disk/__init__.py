"""Files: read without believing what they say, written so that neither a kill nor a power cut harms them.

May import: errors.
"""
