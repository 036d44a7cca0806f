"""Compare methods that turn points into masks with the truth of a COCO json."""
