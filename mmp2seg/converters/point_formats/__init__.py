"""Read the point formats of annotation tools into ``SourceImage``, and write them.

Each format is a module with ``read(path, *, image_dir=None, ...) -> list[SourceImage]`` and
``write(images, path, ...)``; the tables of some tools are only read
(:mod:`mmp2seg.converters.point_formats.table_exports`). Readers keep the order of the points and
store file and place in ``where``. Shapes that a reader cannot convert are errors, unless an option
skips them;
``SourceImage.left_out`` lists the skipped shapes. ``assemble_point_json`` checks the classes, the
positions and duplicate points.

For readers, ``background`` is a class like any other; ``assemble_point_json`` makes its points
background clicks. Writers write background clicks as points of this class.

The arguments of ``read`` and ``write`` are options of the commands, and error messages name the
options: ``--image-dir`` for ``image_dir``.
"""

from types import ModuleType

from mmp2seg.converters.point_formats import coco_keypoints, csv_points, cvat, label_studio, labelme
from mmp2seg.converters.point_formats.table_exports import EXPORTS, TableExport

# Formats that are written too.
FORMATS: dict[str, ModuleType] = {
    'labelme': labelme,
    'cvat': cvat,
    'coco-keypoints': coco_keypoints,
    'label-studio': label_studio,
    'csv': csv_points,
}
# All formats that are read.
READERS: dict[str, ModuleType | TableExport] = {**FORMATS, **EXPORTS}
TABLES = ('csv', *EXPORTS)
