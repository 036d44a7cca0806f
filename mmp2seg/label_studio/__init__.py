"""A Label Studio ML backend that answers keypoints with masks."""
