"""A napari plugin: the points of a Points layer become the masks of a Labels layer.

``napari.yaml`` is its npe2 manifest. Only :mod:`mmp2seg.napari_plugin.widget` imports napari and
Qt.
"""
