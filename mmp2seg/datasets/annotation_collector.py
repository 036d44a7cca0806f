"""Write point jsons and instance jsons in COCO's layout."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from pycocotools import mask as coco_mask

from mmp2seg.datasets.class_list import class_names
from mmp2seg.files.atomic_write import write_json
from mmp2seg.ops.rle import encode_rle


class AnnotationCollector:
    """Collect the objects of a split and write them as a point json and as a ground truth json.

    Both files have the same images, categories (ids 1..K) and annotation ids (1, 2, ... in the
    order of ``add``). The point json contains no mask information. The ground truth json is for
    evaluation only; it contains RLE masks with str counts, boxes, areas and the points.

    Args:
        classes: names of the K classes.
        description: text for ``info`` of both files.
    """

    def __init__(self, classes: Sequence[str], *, description: str) -> None:
        self._info = dict(description=description)
        self._categories = [
            dict(id=i + 1, name=name) for i, name in enumerate(class_names(classes))
        ]
        self._images: list[dict] = []
        self._points: list[dict] = []
        self._instances: list[dict] = []

    def add(
        self,
        *,
        image_id: int,
        file_name: str,
        instance_map: np.ndarray,
        labels: np.ndarray,
        points_xy: np.ndarray | None = None,
    ) -> None:
        """Add an image with its N objects; N can be 0.

        Args:
            image_id: id of the image in the json.
            file_name: path of the image file, relative to the image folder.
            instance_map: (H, W) int32, 0 = none, i + 1 = object i.
            labels: (N,) classes 0..K-1.
            points_xy: (N, 2) continuous (x, y). None: both files contain no points.
        """
        height, width = map(int, instance_map.shape)
        image = dict(id=int(image_id), file_name=file_name, height=height, width=width)
        self._images.append(image)
        points = [None] * len(labels) if points_xy is None else points_xy
        for i, (label, point) in enumerate(zip(labels, points, strict=True)):
            shared = dict(
                id=len(self._instances) + 1, image_id=int(image_id), category_id=int(label) + 1
            )
            if point is not None:
                shared['point'] = [float(point[0]), float(point[1])]
                self._points.append(shared)
            self._instances.append(shared | _mask_entries(instance_map == i + 1))

    def write_points(self, path: str | Path) -> None:
        """Write the point json."""
        self._write(path, self._points)

    def write_instances(self, path: str | Path) -> None:
        """Write the ground truth json."""
        self._write(path, self._instances)

    def _write(self, path: str | Path, annotations: list[dict]) -> None:
        content = dict(
            info=self._info,
            images=self._images,
            categories=self._categories,
            annotations=annotations,
        )
        write_json(path, content)


def _mask_entries(mask: np.ndarray) -> dict:
    """Return the COCO annotation entries of a mask (H, W) bool."""
    rle = encode_rle(mask)
    return dict(
        segmentation=rle,
        bbox=[float(value) for value in coco_mask.toBbox(rle)],
        area=int(coco_mask.area(rle)),
        iscrowd=0,
    )
