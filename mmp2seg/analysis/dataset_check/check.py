"""Read a whole point dataset once and collect its problems."""

import os.path as osp
from collections import Counter, defaultdict
from collections.abc import Callable, Sequence

from mmengine.config import Config, ConfigDict
from mmengine.registry import init_default_scope

from mmp2seg.analysis.dataset_check.image import ImageChecker, ImageFindings
from mmp2seg.analysis.dataset_check.image_classes import compare_image_classes, read_image_classes
from mmp2seg.analysis.dataset_check.loading import LoadedEntries, load_entries
from mmp2seg.analysis.dataset_check.report import PROBLEMS, DatasetReport
from mmp2seg.apis.pseudo_labels import label_dataset
from mmp2seg.codecs import PointPseudoLabeler
from mmp2seg.converters.semantic_folder import ONLY_IGNORED
from mmp2seg.registry import TRANSFORMS

Run = Callable[[Callable[[dict], ImageFindings], Sequence[dict]], list[ImageFindings]]


def _run_one_by_one(check: ImageChecker, entries: Sequence[dict]) -> list[ImageFindings]:
    return [check(entry) for entry in entries]


def check_dataset(
    cfg: Config,
    *,
    split: str = 'train',
    image_classes: str | None = None,
    with_hash: bool = False,
    run: Run = _run_one_by_one,
) -> DatasetReport:
    """Read each image, its points and its map, and collect the problems.

    Args:
        cfg: config with the data loaders of stage 1.
        split: ``'train'`` or ``'test'``, the dataset to check.
        image_classes: file with the classes of each image (``train_cls.txt``) to compare with the
            points; None compares nothing.
        with_hash: also look for image files with the same content.
        run: calls a function for each entry of a list and returns the results in order, e.g. with a
            progress bar or in several processes (the function can be pickled).

    Raises:
        CommandError: the config has no data loader for the split or for the test.
        ValueError, OSError: it has no point dataset, or the list of images or the file of their
            classes cannot be read.
    """
    init_default_scope(cfg.get('default_scope', 'mmdet'))
    dataset = label_dataset(cfg, split)
    loaded = load_entries(dataset)
    checker = _image_checker(cfg, dataset, loaded, with_hash=with_hash)
    problems, notes = defaultdict(list), defaultdict(list)
    for kind, line in loaded.problems:
        problems[kind].append(line)
    if image_classes is not None:
        problems['image_classes'] += _differing_classes(loaded, image_classes)
    problems['points'] += _no_points(loaded)
    problems['duplicate_images'] += _listed_twice(loaded)
    # A problem of an image that is listed twice counts once.
    found = run(checker, loaded.entries)
    for target, lines in (
        (problems, (entry for findings in found for entry in findings.problems)),
        (notes, (entry for findings in found for entry in findings.notes)),
    ):
        for kind, line in dict.fromkeys(lines):
            target[kind].append(line)
    problems['same_content'] += _same_content(loaded, found)
    counts = Counter()
    for findings in found:
        counts.update(findings.counts)
    problems['map_values'] += _only_ignored(loaded, counts)
    problems['classes'] += _class_mismatch(loaded, counts)
    return DatasetReport(
        title=f'{split} split, {loaded.ann_file}',
        classes=loaded.classes,
        counts=counts,
        problems={kind: problems[kind] for kind in PROBLEMS if problems[kind]},
        notes=dict(notes),
        max_snap_distance=checker.max_snap_distance,
        min_region_area=checker.min_region_area,
    )


def _image_checker(
    cfg: Config, dataset: ConfigDict, loaded: LoadedEntries, *, with_hash: bool
) -> ImageChecker:
    """Make a checker that reads like the dataset's pipeline and finds regions like the labeler."""
    steps = {step.type.split('.')[-1]: step for step in dataset.pipeline}
    load_image = steps.get('LoadImageFromFile', dict(type='LoadImageFromFile'))
    load_points = steps.get('LoadPointAnnotations', {})
    labeler = (cfg.get('model') or {}).get('labeler') or {}
    keys = ('min_region_area', 'max_snap_distance')
    labeler = PointPseudoLabeler(**{key: labeler[key] for key in keys if key in labeler})
    return ImageChecker(
        load_image=TRANSFORMS.build(load_image),
        classes=loaded.classes,
        sizes=loaded.sizes,
        ann_file=loaded.ann_file,
        backend_args=load_points.get('backend_args'),
        resize_seg_map=load_points.get('resize_seg_map', False),
        min_region_area=labeler.min_region_area,
        max_snap_distance=labeler.max_snap_distance,
        with_digest=with_hash,
    )


def _differing_classes(loaded: LoadedEntries, path: str) -> list[str]:
    listed = read_image_classes(path, num_classes=len(loaded.classes))
    pointed = {
        osp.splitext(entry['file_name'])[0]: [i['bbox_label'] for i in entry['instances']]
        for entry in loaded.entries
    }
    lines = []
    for name, both in compare_image_classes(listed, pointed).items():
        texts = (', '.join(loaded.classes[label] for label in labels) for labels in both)
        titles = ('points without the class', 'the class without points')
        reasons = '; '.join(f'{title}: {text}' for title, text in zip(titles, texts) if text)
        lines.append(f'{path}: {name}: {reasons}')
    return lines


def _listed_twice(loaded: LoadedEntries) -> list[str]:
    paths = Counter(osp.normpath(entry['img_path']) for entry in loaded.entries)
    return [f'{loaded.ann_file}: {path}: {n} times' for path, n in paths.items() if n > 1]


def _no_points(loaded: LoadedEntries) -> list[str]:
    """A line if there are no points, unless other problems explain that."""
    if loaded.problems or any(entry['instances'] for entry in loaded.entries):
        return []
    return [f'{loaded.ann_file}: expected points, got none']


def _same_content(loaded: LoadedEntries, found: Sequence[ImageFindings]) -> list[str]:
    by_digest: dict[str, dict[str, None]] = defaultdict(dict)
    for entry, findings in zip(loaded.entries, found, strict=True):
        if findings.digest:
            by_digest[findings.digest][osp.normpath(entry['img_path'])] = None
    return [' = '.join(paths) for paths in by_digest.values() if len(paths) > 1]


def _only_ignored(loaded: LoadedEntries, counts: Counter) -> list[str]:
    """A line if no map has a class, and some have 255: binary masks of 0 and 255."""
    if counts['maps_with_class'] or not counts['maps_only_ignored']:
        return []
    path = next(entry['seg_map_path'] for entry in loaded.entries if entry['seg_map_path'])
    return [f'{osp.dirname(path)}: {counts["maps_only_ignored"]} maps: {ONLY_IGNORED}']


def _class_mismatch(loaded: LoadedEntries, counts: Counter) -> list[str]:
    """A line if most points have no region: weak maps miss a few, a wrong class table most."""
    total = counts['points']
    if 2 * counts['lost'] <= total:
        return []
    return [
        f'{loaded.ann_file}: {counts["lost"]} of {total} points have no region of their class '
        f'nearby: is map value k + 1 class k of {", ".join(loaded.classes)}, and are points (x, y)?'
    ]
