"""The commands of ``poseshift``, grouped by what a user wants to do."""
