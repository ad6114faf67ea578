"""What masks of a person tell of the pose: the refinement of answers by rendered bodies, measured."""
