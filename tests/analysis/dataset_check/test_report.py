import json
from collections import Counter

from mmp2seg.analysis.dataset_check.report import DatasetReport

COUNTS = Counter(
    {
        'images': 3,
        'empty': 1,
        'points': 8,
        'maps': 3,
        ('class', 0): 5,
        ('class', 1): 3,
        ('place', 'on_class'): 6,
        ('place', 'background'): 2,
        'snapped': 1,
        'lost': 1,
        'regions': 9,
        'regions_small': 4,
        'regions_without_points': 2,
        'pixels': 200,
        'pixels_without_points': 30,
        ('points_per_region', '1'): 4,
        ('points_per_region', '2'): 2,
        ('points_per_region', '3-5'): 1,
    }
)


def report(counts=COUNTS, classes=('disc', 'traffic light'), problems=None):
    return DatasetReport(
        title='train split, list.txt',
        classes=classes,
        counts=counts,
        problems=problems or {},
        notes=dict(lost=['a.txt: point 3'], classes_without_points=['a.png: disc']),
        max_snap_distance=8.0,
        min_region_area=50,
    )


def test_page():
    assert str(report()).splitlines() == [
        'train split, list.txt',
        '3 images, 1 without points; 3 maps',
        '8 points in 2 classes:',
        '  disc 5, traffic light 3',
        '8 points on maps:',
        '  on their class                 6   75.0 %',
        '  on another class               0    0.0 %',
        '  on background                  2   25.0 %',
        '  on ignore                      0    0.0 %',
        '  outside of the image           0    0.0 %',
        '  off their class, but a region of it is within 8 px: 1',
        '  no region of their class within 8 px, so no mask: 1',
        '9 regions of the maps:',
        '  (and 4 of fewer than 50 pixels, left out)',
        '  with 1 point                   4',
        '  with 2 points                  2',
        '  with 3-5 points                1',
        '  with 6+ points                 0',
        '  without points                 2, 15.0 % of the pixels of all classes',
        '  split by distance separation: 3',
        'maps with a class that no point of their image has: 1',
        'no problems found',
    ]


def test_problems_are_shortened_in_the_page_alone():
    problems = dict(sizes=[f'{i}.png: wrong' for i in range(12)], missing=['a.jpg: gone'])
    found = report(problems=problems)
    assert found.num_problems == 13
    lines = str(found).splitlines()
    start = lines.index('13 problems found')
    assert lines[start + 1 : start + 4] == [
        'missing files: 1',
        '  a.jpg: gone',
        'sizes that disagree: 12',
    ]
    assert lines[-2:] == ['  9.png: wrong', '  ... and 2 more']
    assert found.to_json()['problems'] == problems


def test_json():
    content = json.loads(json.dumps(report().to_json()))
    assert content['counts']['pixels_without_points'] == 30
    assert content['points_per_class'] == {'disc': 5, 'traffic light': 3}
    assert content['points_per_region'] == {'1': 4, '2': 2, '3-5': 1, '6+': 0}
    assert content['places']['background'] == 2
    assert content['notes']['lost'] == ['a.txt: point 3']


def test_page_of_no_maps_and_of_no_points():
    without_maps = Counter(images=1, empty=1)
    assert str(report(without_maps)).splitlines()[1:] == [
        '1 image, 1 without points; 0 maps',
        '0 points in 2 classes:',
        '  disc 0, traffic light 0',
        'no problems found',
    ]
    page = str(report(Counter(images=1, empty=1, maps=1)))
    assert '1 image, 1 without points; 1 map' in page
    assert 'on their class                 0      - ' in page


def test_page_of_one_point_and_one_problem():
    counts = Counter({'images': 1, 'points': 1, 'maps': 1, 'regions': 1, ('place', 'on_class'): 1})
    lines = str(report(counts, classes=('disc',), problems=dict(missing=['gone']))).splitlines()
    for line in ('1 point in 1 class:', '1 point on maps:', '1 region of the maps:'):
        assert line in lines
    assert '1 problem found' in lines


def test_many_classes_are_wrapped_between_them():
    page = str(report(classes=tuple(f'potted plant {i}' for i in range(30))))
    lines = [line for line in page.splitlines() if 'potted' in line]
    assert len(lines) > 3 and max(map(len, lines)) <= 96
    assert all(line.startswith('  potted plant ') for line in lines)


def test_background_clicks():
    assert 'click' not in str(report())
    assert report().to_json()['counts']['background_points'] == 0
    clicked = report(COUNTS | Counter(background_points=12))
    assert str(clicked).splitlines()[3:5] == ['  disc 5, traffic light 3', '12 background clicks']
    assert clicked.to_json()['counts']['background_points'] == 12


def test_kinds_of_supervision_are_counted_if_there_are_others_than_points():
    kinds = {('supervision', kind): n for kind, n in (('point', 5), ('box', 1), ('mask', 2))}
    found = report(COUNTS | Counter(kinds) | Counter(complete=1))
    found.notes['off_mask'] = ['a.txt: point 3']
    lines = str(found).splitlines()
    place = lines.index(
        'supervision: 2 with a true mask, 1 with a true box, 5 by the point alone; all masks in '
        '1 image'
    )
    assert lines[place + 1] == '  points outside of their true mask: 1'
    assert found.to_json()['supervision'] == dict(point=5, box=1, mask=2)
    assert found.to_json()['images_with_all_masks'] == 1
    assert 'supervision' not in str(report(COUNTS | Counter({('supervision', 'point'): 8})))
