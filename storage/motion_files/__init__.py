"""Files of 3D motion that other programs read: one module per format, and their registry.

The formats and what each of them loses are described in docs/formats.md.
"""
