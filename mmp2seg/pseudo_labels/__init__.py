"""From stage 1 to stage 2: scored instances as COCO json."""
