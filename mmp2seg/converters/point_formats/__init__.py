"""Read and write the point formats of annotation tools, as ``SourceImage``.

Each format is a module with ``read(path, *, image_dir=None, ...) -> list[SourceImage]`` and
``write(images, path, ...)``. Readers keep the order of the points and name file and place in
``where``. They raise an error for shapes that they cannot convert, unless an option skips these;
then ``SourceImage.left_out`` lists them. ``assemble_point_json`` checks classes, that points are
inside the image, and duplicates.

The options of a command are the arguments of ``read`` and ``write``. Error messages name the
options: ``--image-dir`` for ``image_dir``.
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
