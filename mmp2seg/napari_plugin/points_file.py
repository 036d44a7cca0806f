"""Write the points of an image file into a point json, which the commands read."""

from pathlib import Path

from mmp2seg.annotation.point_store import ImagePoints, Point, PointStore
from mmp2seg.datasets.coco_content import BACKGROUND
from mmp2seg.files.image_folder import image_size
from mmp2seg.napari_plugin.slices import SlicePoints


def save_points(
    path: str | Path, image_path: str | Path, points: SlicePoints, *, size: tuple[int, int]
) -> ImagePoints:
    """Replace the points of an image in a point json.

    Other images of the file stay, and so do the ids of points that it has at the same places. New
    classes are added to those of the file; ``background`` is none of them.

    Args:
        path: the json; it need not exist.
        image_path: file of the image; the json has its name without the folder.
        points: the points of the image.
        size: ``(H, W)`` of the image as it is shown.

    Returns:
        ImagePoints: what was saved.

    Raises:
        FileNotFoundError: there is no such image.
        ValueError: the json is broken, a point is outside the image, or the image has another size
            when it is read with its EXIF rotation, as all commands do.
        OSError: the json cannot be written.
    """
    name = Path(image_path).name
    read_size = image_size(image_path)
    if read_size != size:
        raise ValueError(
            f'{image_path}: expected {size[1]} x {size[0]} pixels as shown, got {read_size[1]} x '
            f'{read_size[0]}: apply the EXIF rotation to the file first'
        )
    known: tuple[str, ...] = ()
    if Path(path).exists():
        known = PointStore(path, [name], None).classes
    new = sorted(set(points.classes) - {BACKGROUND, *known})
    store = PointStore(path, [name], (*known, *new))
    before = store.points(name)
    ids = {(point.x, point.y, point.label): point.point_id for point in before.points}
    places = zip(points.points_xy.tolist(), points.classes, strict=True)
    return store.save(
        name,
        [Point(x, y, label, ids.get((x, y, label))) for (x, y), label in places],
        size=size,
        revision=before.revision,
    )
