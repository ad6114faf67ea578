"""PoseShift: domain adaptation for 2D-to-3D human pose lifters, as a reproducible, scheduled pipeline.

The packages below lie at the top level of the repository; this folder links to them, so that an installed
``poseshift`` takes no common name such as ``training`` or ``storage`` away from anybody else.
"""
