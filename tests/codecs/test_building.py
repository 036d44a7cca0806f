import pytest

from mmp2seg.codecs.building import build_codecs, require_no_labeler


def test_the_decoder_has_the_labeler():
    labeler, decoder = build_codecs(dict(min_region_area=7), dict(anchor='point'))
    assert decoder.labeler is labeler
    assert (labeler.min_region_area, decoder.anchor) == (7, 'point')


def test_without_configs_the_defaults_apply():
    labeler, decoder = build_codecs(None, None)
    assert (labeler.conflict, decoder.grouping) == ('nearest', 'offset')


def test_options_of_older_configs_go_to_the_decoder_with_a_warning():
    old = dict(type='mmp2seg.PointPseudoLabeler', conflict='drop', landing_weight=0.25, anchor='x')
    message = r"write model\.test_cfg\.decoder=dict\(landing_weight=0\.25, anchor='x'\)"
    with pytest.warns(DeprecationWarning, match=message):
        labeler, decoder = build_codecs(old, dict(anchor='point'))
    assert (labeler.conflict, decoder.landing_weight, decoder.anchor) == ('drop', 0.25, 'point')


def test_a_second_labeler_is_refused():
    with pytest.raises(ValueError, match=r'model\.labeler alone, got one in model\.test_cfg\.dec'):
        build_codecs(None, dict(labeler=dict(min_region_area=3)))
    with pytest.raises(ValueError, match='got one in model.distiller'):
        require_no_labeler(dict(labeler=None), 'model.distiller')
