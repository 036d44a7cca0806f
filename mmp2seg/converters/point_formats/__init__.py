"""Points as annotation tools store them, read into and written from ``SourceImage``.

A module per format with ``read(path, *, image_dir=None, ...) -> list[SourceImage]`` and
``write(images, path, ...)``. All of them keep the order of the points, name file and place in
``where``, raise on what they cannot place unless told to leave it out, and then say so in
``SourceImage.left_out``. Classes, places inside the image and duplicates are checked by
``assemble_point_json``.
"""

from types import ModuleType

from mmp2seg.converters.point_formats import coco_keypoints, csv_points, cvat, label_studio, labelme

FORMATS: dict[str, ModuleType] = {
    'labelme': labelme,
    'cvat': cvat,
    'coco-keypoints': coco_keypoints,
    'label-studio': label_studio,
    'csv': csv_points,
}
