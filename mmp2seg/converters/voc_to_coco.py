"""Instance masks in VOC's layout made into a COCO instance json."""

import dataclasses
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from mmp2seg.converters.voc_masks import read_image_list, read_voc_objects
from mmp2seg.datasets.layouts import AnnotationCollector, numeric_image_ids


@dataclasses.dataclass(frozen=True)
class InstanceReport:
    """Counts of a conversion.

    Attributes:
        num_images: images in the file, also those without objects.
        num_objects: objects in the file, by class name, also of classes without an object.
    """

    num_images: int
    num_objects: dict[str, int]


def voc_masks_to_coco(
    voc_root: str | Path,
    out_path: str | Path,
    *,
    classes: Sequence[str],
    split: str = 'val',
    track: Callable[[Iterable], Iterable] = iter,
) -> InstanceReport:
    """Write the objects of an image list as COCO instance json.

    Reads ``ImageSets/Segmentation/<split>.txt``, ``SegmentationObject`` and ``SegmentationClass``.
    The masks are RLE without VOC's void pixels, which belong to no object. Category ids are 1..K;
    images are numbered by their names' digits where these differ ('2007_000032' -> 2007000032, as
    ``PointVOCDataset`` does), else from 1.

    Args:
        voc_root: folder in VOC's layout (VOC2012).
        out_path: json to write, whole or not at all.
        classes: names of the K classes in the order of the map values 1..K.
        split: name of the image list.
        track: wraps the list of images; a place for a progress bar.

    Raises:
        FileNotFoundError: for a missing list or map.
        ValueError: for a broken map, maps of different sizes, an object without class, a class
            out of range, an image listed twice; names the file.
    """
    names = read_image_list(Path(voc_root) / 'ImageSets' / 'Segmentation' / f'{split}.txt')
    collector = AnnotationCollector(classes, description=f'VOC {split}')
    counts: Counter[int] = Counter()
    for name, image_id in track(list(zip(names, numeric_image_ids(names), strict=True))):
        instance_map, labels = read_voc_objects(voc_root, name, num_classes=len(classes))
        collector.add(
            image_id=image_id, file_name=f'{name}.jpg', instance_map=instance_map, labels=labels
        )
        counts.update(labels.tolist())
    collector.write_instances(out_path)
    return InstanceReport(len(names), {name: counts[k] for k, name in enumerate(classes)})
