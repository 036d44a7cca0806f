"""Mask R-CNN that knows that its labels are pseudo labels."""

from mmdet.models.detectors import MaskRCNN
from mmdet.structures import DetDataSample
from torch import Tensor

from mmp2seg.models.refiners.head_types import with_type
from mmp2seg.models.refiners.pseudo_label_weights import PseudoLabelWeights
from mmp2seg.registry import MODELS


@MODELS.register_module()
class MaskRCNNRefiner(MaskRCNN):
    """mmdet's Mask R-CNN, with options for pseudo labels.

    With all of them off it is mmdet's detector, number for number. With one on, the RoI head is
    :class:`~mmp2seg.models.refiners.PseudoLabelRoIHead` in place of mmdet's ``StandardRoIHead``.
    Parameters have mmdet's names, so mmdet's checkpoints load.

    Args:
        score_weight: exponent of an instance's score in the weight of its mask loss and of its box
            regression.
        ignore_border: width of the zone between two masks of one class that does not count in the
            mask loss, as of :class:`~mmp2seg.models.refiners.PseudoLabelWeights`.
        ignore_semantic: pixels of the semantic map that do not count in the mask loss, as there.
        others: as of mmdet's ``MaskRCNN``.

    Raises:
        ValueError: an option outside its range, or one that is on for another RoI head.
    """

    def __init__(
        self,
        backbone: dict,
        rpn_head: dict,
        roi_head: dict,
        train_cfg: dict,
        test_cfg: dict,
        neck: dict | None = None,
        data_preprocessor: dict | None = None,
        init_cfg: dict | None = None,
        *,
        score_weight: float = 0.0,
        ignore_border: int = 0,
        ignore_semantic: str | None = None,
    ) -> None:
        weights = PseudoLabelWeights(
            score_weight=score_weight, ignore_border=ignore_border, ignore_semantic=ignore_semantic
        )
        if weights.is_on:
            roi_head = with_type(roi_head, 'PseudoLabelRoIHead', instead_of='StandardRoIHead')
        super().__init__(
            backbone=backbone,
            rpn_head=rpn_head,
            roi_head=roi_head,
            train_cfg=train_cfg,
            test_cfg=test_cfg,
            neck=neck,
            data_preprocessor=data_preprocessor,
            init_cfg=init_cfg,
        )
        self.pseudo_label_weights = weights

    def loss(self, batch_inputs: Tensor, batch_data_samples: list[DetDataSample]) -> dict:
        """mmdet's losses, weighted by what the options make of the pseudo labels."""
        if self.pseudo_label_weights.is_on:
            self.pseudo_label_weights.attach(batch_data_samples)
        return super().loss(batch_inputs, batch_data_samples)
