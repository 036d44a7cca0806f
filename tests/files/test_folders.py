import pytest

from mmp2seg.files.folders import complete_folder, link_or_copy


def test_complete_folder_appears_at_the_end(tmp_path):
    root = tmp_path / 'a' / 'data'
    with complete_folder(root) as folder:
        (folder / 'file').write_text('x')
        assert not root.exists()
    assert (root / 'file').read_text() == 'x'
    assert [path.name for path in root.parent.iterdir()] == ['data']


def test_complete_folder_vanishes_on_an_error(tmp_path):
    (tmp_path / 'data').mkdir()
    (tmp_path / 'data' / 'old').write_text('x')
    with (
        pytest.raises(RuntimeError, match='stop'),
        complete_folder(tmp_path / 'data', overwrite=True) as folder,
    ):
        (folder / 'new').write_text('y')
        raise RuntimeError('stop')
    assert [path.name for path in tmp_path.iterdir()] == ['data']
    assert [path.name for path in (tmp_path / 'data').iterdir()] == ['old']


def test_complete_folder_overwrites_on_demand_only(tmp_path):
    root = tmp_path / 'data'
    root.mkdir()
    with complete_folder(root) as folder:  # an empty folder may be replaced
        (folder / 'first').touch()
    with (
        pytest.raises(FileExistsError, match=r'data: the folder is not empty \(--overwrite repl'),
        complete_folder(root),
    ):
        pass
    with complete_folder(root, overwrite=True) as folder:
        (folder / 'second').touch()
    assert [path.name for path in root.iterdir()] == ['second']
    assert [path.name for path in tmp_path.iterdir()] == ['data']
    with (
        pytest.raises(FileExistsError, match='second: expected a folder, got a file'),
        complete_folder(root / 'second', overwrite=True),
    ):
        pass


def test_link_or_copy(tmp_path):
    (tmp_path / 'folder').mkdir()
    (tmp_path / 'folder' / 'file').write_text('x')
    link_or_copy(tmp_path / 'folder', tmp_path / 'out' / 'link')
    link_or_copy(tmp_path / 'folder', tmp_path / 'out' / 'copy', copy=True)
    link_or_copy(tmp_path / 'folder' / 'file', tmp_path / 'out' / 'file', copy=True)
    assert (tmp_path / 'out' / 'link').is_symlink()
    assert not (tmp_path / 'out' / 'copy').is_symlink()
    for path in ('link/file', 'copy/file', 'file'):
        assert (tmp_path / 'out' / path).read_text() == 'x'
    with pytest.raises(FileNotFoundError, match='missing'):
        link_or_copy(tmp_path / 'missing', tmp_path / 'out' / 'none')


def test_complete_folder_never_replaces_its_input(tmp_path):
    root = tmp_path / 'data'
    (root / 'images').mkdir(parents=True)
    (root / 'images' / '1.jpg').touch()
    link = tmp_path / 'link'
    link.symlink_to(root / 'images')
    for path in (root, root / 'images', root / 'images' / '1.jpg', link):
        with (
            pytest.raises(ValueError, match='data: expected a folder that holds none of the input'),
            complete_folder(root, overwrite=True, inputs=[tmp_path, path]),
        ):
            pass
    assert (root / 'images' / '1.jpg').exists()
    with complete_folder(root / 'maps', inputs=[root, root / 'images']) as folder:
        (folder / 'x').touch()
    assert (root / 'maps' / 'x').exists()
