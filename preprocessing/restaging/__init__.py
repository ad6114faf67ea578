"""Free motion in front of the cameras of both data sets, written as raw release trees."""
