"""Mean IoU of semantic maps, from a confusion matrix summed over a dataset."""

from typing import Any

import numpy as np
from numpy.typing import NDArray


def confusion_matrix(
    pred: NDArray[np.integer[Any]],
    target: NDArray[np.integer[Any]],
    *,
    num_classes: int,
    ignore_index: int = 255,
) -> NDArray[np.int64]:
    """Count pixels by true and predicted class.

    Args:
        pred: (...) integer map: 0 background, k + 1 = class k, ``ignore_index`` = no prediction.
        target: true map with the same shape and values; its ignored pixels are not counted.
        num_classes: number K of classes, background not included.
        ignore_index: value of ignored pixels, outside 0..K.

    Returns:
        (K + 1, K + 2) int64: row = true value, column = predicted value; the last column counts
        the pixels without a prediction. The matrices of several images can be added. Empty maps
        give zeros.

    Raises:
        ValueError: if the shapes differ, ``ignore_index`` is in 0..K, or a value is neither in 0..K
            nor ``ignore_index``.
    """
    pred, target = np.asarray(pred), np.asarray(target)
    if pred.shape != target.shape:
        raise ValueError(f'expected maps of one shape, got {pred.shape} and {target.shape}')
    if 0 <= ignore_index <= num_classes:
        raise ValueError(f'expected ignore_index outside 0..{num_classes}, got {ignore_index}')
    for name, values in (('pred', pred), ('target', target)):
        wrong = values[((values < 0) | (values > num_classes)) & (values != ignore_index)]
        if wrong.size:
            raise ValueError(
                f'expected values 0..{num_classes} or {ignore_index} in {name}, got {wrong[0]}'
            )
    rows, cols = num_classes + 1, num_classes + 2
    counted = target != ignore_index
    row = target[counted].astype(np.int64)
    col = pred[counted].astype(np.int64)
    col[col == ignore_index] = cols - 1
    return np.bincount(row * cols + col, minlength=rows * cols).reshape(rows, cols)


def per_class_iou(matrix: NDArray[np.integer[Any]]) -> NDArray[np.float64]:
    """Return the IoU of each class from a confusion matrix.

    Args:
        matrix: (C, D) counts with D >= C, row = true class, column = predicted class. The columns
            from C on (pixels without a prediction) count against the true class only.

    Returns:
        (C,) float64 in [0, 1]; nan for a class that is neither in the truth nor in the prediction.
    """
    count = len(matrix)
    matched = np.diagonal(matrix).astype(np.float64)
    union = matrix.sum(1) + matrix[:, :count].sum(0) - matched
    with np.errstate(invalid='ignore'):
        return np.where(union > 0, matched / union, np.nan)


def mean_iou(matrix: NDArray[np.integer[Any]]) -> float:
    """Average ``per_class_iou`` over the classes that occur; return nan if none does."""
    iou = per_class_iou(matrix)
    return float(np.nanmean(iou)) if not np.isnan(iou).all() else float('nan')
