"""Mutual distillation: make targets from the network's predictions and the points."""

from mmp2seg.models.distillation.mutual_distiller import (
    DistilledTargets,
    MutualDistiller,
    NetworkMaps,
    PointGroup,
)
from mmp2seg.models.distillation.semantic_scorer import SemanticScorer

__all__ = ['DistilledTargets', 'MutualDistiller', 'NetworkMaps', 'PointGroup', 'SemanticScorer']
