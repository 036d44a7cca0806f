"""``mmp2seg init``: configs of both stages and the commands for a data set of images and points."""
