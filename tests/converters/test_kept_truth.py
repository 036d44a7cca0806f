import pytest

from mmp2seg.converters.kept_truth import KeptTruth, given_entries, images_with_all_masks

# 10 images of 10 objects
ANNOTATIONS = [dict(id=10 * image + n, image_id=image) for image in range(10) for n in range(10)]


@pytest.mark.parametrize('unit', ['object', 'image'])
def test_a_larger_share_has_the_objects_of_a_smaller_one(unit):
    chosen = [
        set(KeptTruth(share, unit=unit, seed=3).kinds(ANNOTATIONS)) for share in (0, 0.2, 0.5, 1)
    ]
    assert [len(one) for one in chosen] == [0, 20, 50, 100]
    assert chosen[1] < chosen[2]
    assert chosen[2] != set(KeptTruth(0.5, unit=unit, seed=4).kinds(ANNOTATIONS))
    if unit == 'image':
        assert len({number // 10 for number in chosen[1]}) == 2


def test_boxes_are_of_the_objects_without_masks():
    masks = KeptTruth(0.2).kinds(ANNOTATIONS)
    both = KeptTruth(0.2, 0.5).kinds(ANNOTATIONS)
    assert {number for number, kind in both.items() if kind == 'mask'} == set(masks)
    assert sum(kind == 'box' for kind in both.values()) == 40


def test_the_choice_does_not_depend_on_the_order():
    kept = KeptTruth(0.3)
    assert kept.kinds(ANNOTATIONS) == kept.kinds(ANNOTATIONS[::-1])


def test_a_small_share_is_one_object_and_crowds_and_broken_ids_are_none():
    crowd, broken = dict(id=1, image_id=1, iscrowd=1), dict(id=[2], image_id=1)
    assert len(KeptTruth(0.001).kinds(ANNOTATIONS)) == 1
    assert KeptTruth(1).kinds([crowd, broken]) == {}


def test_images_with_all_masks():
    annotations = [
        dict(id=1, image_id=1),
        dict(id=2, image_id=1),
        dict(id=3, image_id=2),
        dict(id=4, image_id=2, iscrowd=1),
        dict(id=5, image_id=3),
        dict(id=6, image_id=3),
    ]
    kinds = {1: 'mask', 2: 'mask', 3: 'mask', 5: 'mask', 6: 'box'}
    assert images_with_all_masks(annotations, kinds) == {1}


def test_entries():
    annotation = dict(segmentation=[[1]], bbox=[1, 2, 3, 4], area=9)
    assert given_entries(annotation, 'mask') == dict(supervision='mask', segmentation=[[1]])
    assert given_entries(annotation, 'box') == dict(supervision='box', bbox=[1, 2, 3, 4])
    with pytest.raises(ValueError, match='it has no bbox to keep'):
        given_entries({}, 'box')


@pytest.mark.parametrize('options', [dict(masks=1.1), dict(boxes=-0.1), dict(unit='pixel')])
def test_options_outside_of_their_range(options):
    with pytest.raises(ValueError, match='expected'):
        KeptTruth(**options)


def test_description():
    assert KeptTruth().describe() == ''
    text = KeptTruth(0.05, 0.5, unit='image', seed=2).describe()
    assert text == '0.05 of images with masks, 0.5 of images with boxes (seed 2)'
