from mmp2seg.visualization.colors import distinct_colors


def test_distinct_colors():
    colors = distinct_colors(40)
    assert len(set(colors)) == 40
    assert distinct_colors(0) == []
    assert distinct_colors(3) == colors[:3]
