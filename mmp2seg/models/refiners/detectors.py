"""mmdet's Mask R-CNN and SOLOv2 with options for pseudo labels."""

import copy
from collections.abc import Mapping

from mmdet.models.detectors import MaskRCNN, SOLOv2
from mmdet.structures import DetDataSample
from torch import Tensor

from mmp2seg.models.refiners.pseudo_label_weights import PseudoLabelWeights
from mmp2seg.registry import MODELS


class PseudoLabelOptions:
    """Mixin that adds the options of :class:`PseudoLabelWeights` to a detector of mmdet.

    If an option is on, it replaces the detector's head by one that applies the weights. A subclass
    sets the class attributes.

    Attributes:
        head_key: name of the detector's argument for the config of the head.
        mmdet_head: type of the head in mmdet.
        weighted_head: type of the replacement, which takes the same arguments.
    """

    head_key: str
    mmdet_head: str
    weighted_head: str

    def __init__(
        self,
        *,
        score_weight: float = 0.0,
        supervision_weights: Mapping[str, float] | None = None,
        ignore_border: int = 0,
        ignore_semantic: str | None = None,
        **kwargs,
    ) -> None:
        weights = PseudoLabelWeights(
            score_weight=score_weight,
            supervision_weights=supervision_weights,
            ignore_border=ignore_border,
            ignore_semantic=ignore_semantic,
        )
        if weights.is_on:
            head = kwargs[self.head_key]
            kwargs[self.head_key] = replace_type(head, self.mmdet_head, self.weighted_head)
        super().__init__(**kwargs)
        self.pseudo_label_weights = weights

    def loss(self, batch_inputs: Tensor, batch_data_samples: list[DetDataSample]) -> dict:
        """Compute mmdet's losses with the weights of the pseudo labels."""
        if self.pseudo_label_weights.is_on:
            self.pseudo_label_weights.attach(batch_data_samples)
        return super().loss(batch_inputs, batch_data_samples)


@MODELS.register_module()
class MaskRCNNRefiner(PseudoLabelOptions, MaskRCNN):
    """mmdet's Mask R-CNN with options for pseudo labels.

    If all options are off, the losses are exactly those of mmdet's detector. If one is on, the RoI
    head is :class:`~mmp2seg.models.refiners.PseudoLabelRoIHead` instead of mmdet's
    ``StandardRoIHead``. Parameters keep mmdet's names, so mmdet's checkpoints can be loaded.

    Args:
        score_weight: exponent of an instance's score in the weight of its mask loss and of its box
            regression.
        supervision_weights: factors of these weights for masks of points, of boxes and for true
            masks, such as ``dict(mask=2)``; see
            :class:`~mmp2seg.models.refiners.PseudoLabelWeights`.
        ignore_border: width of the zone between two masks of one class that the mask loss ignores;
            see :class:`~mmp2seg.models.refiners.PseudoLabelWeights`.
        ignore_semantic: which pixels the mask loss ignores because of the semantic map; see
            :class:`~mmp2seg.models.refiners.PseudoLabelWeights`.
        **kwargs: forwarded to mmdet's ``MaskRCNN``.

    Raises:
        ValueError: an option is outside its range, or one is on and the RoI head has another type.
    """

    head_key = 'roi_head'
    mmdet_head = 'StandardRoIHead'
    weighted_head = 'PseudoLabelRoIHead'


@MODELS.register_module()
class SOLOv2Refiner(PseudoLabelOptions, SOLOv2):
    """mmdet's SOLOv2 with options for pseudo labels.

    If all options are off, the losses are exactly those of mmdet's detector. If one is on, the mask
    head is :class:`~mmp2seg.models.refiners.PseudoLabelSOLOV2Head` instead of mmdet's
    ``SOLOV2Head``. Parameters keep mmdet's names, so mmdet's checkpoints can be loaded.

    Args:
        score_weight: exponent of an instance's score in the weight of its mask loss.
        supervision_weights: factors of these weights for masks of points, of boxes and for true
            masks, such as ``dict(mask=2)``; see
            :class:`~mmp2seg.models.refiners.PseudoLabelWeights`.
        ignore_border: width of the zone between two masks of one class that the mask loss ignores;
            see :class:`~mmp2seg.models.refiners.PseudoLabelWeights`.
        ignore_semantic: which pixels the mask loss ignores because of the semantic map; see
            :class:`~mmp2seg.models.refiners.PseudoLabelWeights`.
        **kwargs: forwarded to mmdet's ``SOLOv2``.

    Raises:
        ValueError: an option is outside its range, or one is on and the mask head has another type.
    """

    head_key = 'mask_head'
    mmdet_head = 'SOLOV2Head'
    weighted_head = 'PseudoLabelSOLOV2Head'


def replace_type(head: dict, old: str, new: str) -> dict:
    """Return a copy of a head's config with the type ``mmp2seg.<new>``.

    Args:
        head: config of the head; its ``type`` is a string, with or without a scope, or a class.
        old: name of mmdet's head.
        new: name of the replacement.

    Raises:
        ValueError: the type of ``head`` is neither ``old`` nor ``new``.
    """
    given = head['type'] if isinstance(head['type'], str) else head['type'].__name__
    if given.split('.')[-1] not in (old, new):
        raise ValueError(f'options for pseudo labels: expected a head of type {old}, got {given}')
    head = copy.deepcopy(head)
    head['type'] = f'mmp2seg.{new}'
    return head
