from mmp2seg.structures import fields


def test_padding_is_ignore_and_never_background():
    assert fields.PIXEL_FIELD_PADDING['gt_sem_seg']['sem_seg'] == 255


def test_every_padded_field_is_documented():
    for name, paddings in fields.PIXEL_FIELD_PADDING.items():
        for text in (name, *paddings):
            assert f'``{text}``' in fields.__doc__
