"""Candidates as of a promptable network such as SAM, simulated from the truth: who chooses well?

The weights of SAM are not needed to ask how well a network's masks choose among a part, the object
and a group. The simulation draws these three for each point from the true masks, with noise at the
borders, and gives each a score as a predicted IoU: how sound a mask is, not whether it is the
object that was meant.
"""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt
from scipy import ndimage
from scipy.spatial import KDTree

from mmp2seg.evaluation.functional.pseudo_masks import match_points
from mmp2seg.evaluation.functional.truth_file import TruthFile, compare_files
from mmp2seg.evaluation.functional.truth_maps import is_crowd
from mmp2seg.ops.candidates import best_candidate, clicks_held, mask_ious, paint_smaller_on_top
from mmp2seg.ops.coords import points_to_pixels
from mmp2seg.ops.noise import smooth_noise
from mmp2seg.ops.rle import decode_rle, encode_instance_map, encode_rle
from mmp2seg.pseudo_labels.coco_json import Entry, assemble, mask_entries
from mmp2seg.pseudo_labels.refinement import CandidateRefiner

Mask = npt.NDArray[np.bool_]
KINDS = ('part', 'object', 'group')


@dataclass(frozen=True)
class SimulationLevels:
    """How the candidates differ from the true object.

    Attributes:
        border: standard deviation of the displacement of a border, in pixels.
        border_cell: correlation length of the displacement along the border, in pixels.
        part_seeds: an object is divided among this many random pixels of it; the part is the cell
            with the click.
        missed: probability that the object is not among the candidates; a larger part takes its
            place.
        advantage: how much higher the mean score of the object is than that of part and group.
        spread: standard deviation of the scores.
    """

    border: float = 1.0
    border_cell: float = 6.0
    part_seeds: int = 3
    missed: float = 0.1
    advantage: float = 0.05
    spread: float = 0.06


def simulate_candidates(
    labels: Entry,
    truth: TruthFile,
    *,
    rng: np.random.Generator,
    levels: SimulationLevels = SimulationLevels(),
    choice: str = 'score',
) -> Entry:
    """Return labels with candidates for the points of pseudo labels, as ``SamPointSegmenter`` does.

    Args:
        labels: content of a pseudo label json; only its points are read.
        truth: true instances with the same ids; a point of none of them has no candidates.
        rng: random generator.
        levels: see :class:`SimulationLevels`.
        choice: ``'score'``: of each point, the candidate with the best score is its mask;
            ``'exclusive'``: of those that hold the fewest other clicks; ``'best'``: the one with
            the largest IoU with the true object.
    """
    entries: dict[int, list[Entry]] = defaultdict(list)
    for entry in [*labels['annotations'], *labels['dropped_points']]:
        entries[entry['image_id']].append(entry)
    annotations: list[Entry] = []
    dropped: list[Entry] = []
    for image in labels['images']:
        points = sorted(entries[image['id']], key=lambda entry: entry['point_id'])
        true_masks, places = _true_masks(points, truth, image)
        pixels = points_to_pixels(np.array([p['point'] for p in points]).reshape(-1, 2))
        found = []
        for place, pixel in zip(places, pixels, strict=True):
            if place is not None:
                masks, scores = draw_candidates(
                    true_masks, place, pixel=(int(pixel[0]), int(pixel[1])), rng=rng, levels=levels
                )
                chosen = _choose(choice, masks, scores, true_masks[place], pixel, pixels)
                found.append((masks, scores, chosen))
            else:
                found.append(None)
        known = [n for n, each in enumerate(found) if each is not None]
        taken = [found[n][0][found[n][2]] for n in known]  # type: ignore[index]
        drawn = paint_smaller_on_top(
            [int(mask.sum()) for mask in taken],
            taken.__getitem__,
            size=(image['height'], image['width']),
        )
        drawn[tuple(pixels[known].T)] = np.arange(1, len(known) + 1)
        rles = dict(zip(known, encode_instance_map(drawn, len(known)), strict=True))
        for n, (point, each) in enumerate(zip(points, found, strict=True)):
            keys = ('image_id', 'category_id', 'point', 'point_id')
            entry = {key: point[key] for key in keys}
            rle = rles.get(n)
            if each is None or rle is None:
                dropped.append({**entry, 'reason': 'no_pixels'})
                continue
            masks, scores, chosen = each
            annotations.append(
                {
                    **entry,
                    **mask_entries(rle),
                    'iscrowd': 0,
                    'score': float(scores[chosen]),
                    'candidate': chosen,
                    'candidates': [
                        {'segmentation': encode_rle(mask), 'score': float(score)}
                        for mask, score in zip(masks, scores, strict=True)
                    ],
                }
            )
    info = {'description': 'candidates simulated from the truth'}
    return assemble(labels['images'], labels['categories'], annotations, dropped, info)


def draw_candidates(
    true_masks: Sequence[Mask],
    place: int,
    *,
    pixel: tuple[int, int],
    rng: np.random.Generator,
    levels: SimulationLevels,
) -> tuple[Mask, npt.NDArray[np.float64]]:
    """Draw a part, the object and a group for a click on one of the objects of an image.

    The group is the object and its nearest neighbour; the object grown by half its width where
    there is no other.

    Args:
        true_masks: ``(H, W)`` bool of each object of the image.
        place: the object that was clicked.
        pixel: row and column of the click.

    Returns:
        tuple: ``(3, H, W)`` bool from the smallest to the largest, and ``(3,)`` scores.
    """
    mask = true_masks[place]
    part = _part(mask, pixel, levels.part_seeds, rng)
    middle = mask if rng.random() >= levels.missed else _part(mask, pixel, 2, rng)
    drawn = [part, middle, _group(true_masks, place)]
    masks = np.array([_with_noise(each, pixel, rng, levels) for each in drawn])
    means = 0.85 + levels.advantage * np.array([0.0, 1.0, 0.0])
    scores = (means + levels.spread * rng.standard_normal(len(KINDS))).clip(0, 1)
    order = np.argsort(masks.sum((1, 2)), kind='stable')
    return masks[order], scores[order]


def compare_choices(
    labels: Entry,
    truth: TruthFile,
    *,
    seed: int = 0,
    levels: SimulationLevels = SimulationLevels(),
    refiner: CandidateRefiner | None = None,
) -> dict[str, float]:
    """Compare ways to choose among simulated candidates, all with the same candidates.

    Args:
        labels: content of a pseudo label json of a network.
        truth: true instances with the same ids.
        seed: of the candidates.
        levels: see :class:`SimulationLevels`.
        refiner: chooses by the labels. None: the default one.

    Returns:
        dict: mean IoU of each true object and the mask of its point, of ``labels``, ``score``,
        ``exclusive``, ``refined`` and ``best``; see :func:`simulate_candidates`.
        ``taken/NAME``: the share of the points with each outcome of the refinement.
    """
    figures = {'labels': _mean_iou(labels, truth)}
    for choice in ('score', 'exclusive', 'best'):
        content = simulate_candidates(
            labels, truth, rng=np.random.default_rng(seed), levels=levels, choice=choice
        )
        figures[choice] = _mean_iou(content, truth)
    refined = (refiner or CandidateRefiner())(labels, content)
    figures['refined'] = _mean_iou(refined.labels, truth)
    total = sum(refined.taken.values())
    return figures | {f'taken/{name}': count / total for name, count in refined.taken.items()}


def _mean_iou(content: Entry, truth: TruthFile) -> float:
    ious, _ = compare_files(content, truth)
    return float(ious.mean())


def _true_masks(
    points: Sequence[Entry], truth: TruthFile, image: Entry
) -> tuple[list[Mask], list[int | None]]:
    """Return the true masks of an image, and the place of each point's object among them."""
    objects = [
        {**ann, 'segmentation': truth.rle_of(ann)}
        for ann in truth.annotations_of(image['id'])
        if not is_crowd(ann)
    ]
    places = match_points(points, objects)
    return [decode_rle(each['segmentation']) for each in objects], places


def _choose(
    choice: str,
    masks: Mask,
    scores: npt.NDArray[np.float64],
    true_mask: Mask,
    pixel: npt.NDArray[np.int64],
    pixels: npt.NDArray[np.int64],
) -> int:
    if choice == 'best':
        return int(mask_ious(masks, true_mask).argmax())
    if choice not in ('score', 'exclusive'):
        raise ValueError(f"expected a choice of 'score', 'exclusive' or 'best', got {choice!r}")
    holds = masks[:, pixel[0], pixel[1]]
    others = clicks_held(masks, pixels) - holds if choice == 'exclusive' else np.zeros(len(masks))
    return best_candidate(scores, areas=masks.sum((1, 2)), holds_click=holds, num_others=others)


def _part(mask: Mask, pixel: tuple[int, int], num_seeds: int, rng: np.random.Generator) -> Mask:
    """Return the cell of a click when an object is divided among random pixels of it."""
    places = np.argwhere(mask)
    seeds = places[rng.integers(len(places), size=num_seeds)]
    _, owners = KDTree(seeds).query(places)
    _, mine = KDTree(seeds).query(pixel)
    part = np.zeros_like(mask)
    part[tuple(places[owners == mine].T)] = True
    return part


def _group(true_masks: Sequence[Mask], place: int) -> Mask:
    """Return an object with its nearest neighbour, or grown if it has none."""
    mask = true_masks[place]
    distance = ndimage.distance_transform_edt(~mask)
    others = [other for n, other in enumerate(true_masks) if n != place and other.any()]
    if others:
        nearest: Mask = min(others, key=lambda other: float(distance[other].min()))
        return mask | nearest
    width = float(ndimage.distance_transform_edt(np.pad(mask, 1)).max())
    grown: Mask = distance <= width
    return grown


def _with_noise(
    mask: Mask, pixel: tuple[int, int], rng: np.random.Generator, levels: SimulationLevels
) -> Mask:
    """Displace the border of a mask by smooth noise; the click stays in it."""
    padded = np.pad(mask, 1).astype(np.uint8)  # the border of the image is no border of the object
    inside = cv2.distanceTransform(padded, cv2.DIST_L2, 5)[1:-1, 1:-1]
    outside = cv2.distanceTransform(1 - padded, cv2.DIST_L2, 5)[1:-1, 1:-1]
    shift = levels.border * smooth_noise(mask.shape, cell=levels.border_cell, rng=rng)
    noisy: Mask = inside - outside - np.sign(inside - outside) * 0.5 + shift > 0
    noisy[pixel] = True
    return noisy
