"""Mutual distillation: what the network predicts and the points say, as targets."""

from mmp2seg.models.distillation.mutual_distiller import (
    DistilledTargets,
    MutualDistiller,
    NetworkMaps,
)
from mmp2seg.models.distillation.semantic_scorer import SemanticScorer

__all__ = ['DistilledTargets', 'MutualDistiller', 'NetworkMaps', 'SemanticScorer']
