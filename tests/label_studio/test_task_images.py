import os
from pathlib import Path

import pytest

from mmp2seg.label_studio.task_images import ImageSource, TaskImages


@pytest.fixture(autouse=True)
def label_studio(monkeypatch):
    monkeypatch.setenv('LABEL_STUDIO_URL', 'http://Studio.example:8080/')
    monkeypatch.delenv('LABEL_STUDIO_HOST', raising=False)


@pytest.fixture
def root(tmp_path):
    (tmp_path / 'secret.png').write_text('secret')
    (tmp_path / 'root' / 'a b').mkdir(parents=True)
    (tmp_path / 'root' / 'a b' / 'c.png').write_text('image')
    return tmp_path / 'root'


def test_a_local_file(root):
    images = TaskImages(local_root=root)
    for url in ('/data/local-files/?d=a%20b/c.png', '/data/local-files?x=1&d=/a%20b/c.png'):
        source = images.find(url)
        with images.file(source) as path:
            assert path == root / 'a b' / 'c.png'
    (root / 'a b' / 'c.png').write_text('another')
    assert images.find(url) != source


@pytest.mark.parametrize(
    'name', ['../secret.png', '/../secret.png', 'a b/../../secret.png', 'link']
)
def test_nothing_outside_the_folder(root, name):
    (root / 'link').symlink_to('../secret.png')
    with pytest.raises(ValueError, match='not inside .*, the --local-files-root'):
        TaskImages(local_root=root).find(f'/data/local-files/?d={name}')


@pytest.mark.parametrize('name', ['gone.png', '', 'a b'])
def test_a_missing_local_file(root, name):
    with pytest.raises(FileNotFoundError, match='no such file'):
        TaskImages(local_root=root).find(f'/data/local-files/?d={name}')


def test_names_that_are_none(root):
    os.symlink('loop', root / 'loop')
    for name in ('%00', 'loop'):
        with pytest.raises((ValueError, FileNotFoundError)):
            TaskImages(local_root=root).find(f'/data/local-files/?d={name}')


def test_a_root_that_is_no_folder(root):
    with pytest.raises(NotADirectoryError, match='gone: no such folder'):
        TaskImages(local_root=root / 'gone')


@pytest.mark.parametrize(
    'url',
    [
        '/data/upload/1/a.png',
        'upload/1/a.png',
        '/storage-data/uploaded/?filepath=upload/1/a.png',
        '/data/local-files/?d=a.png',  # without a folder, Label Studio is asked
        's3://bucket/a.png',
        'gs://bucket/a.png',
        'azure-blob://box/a.png',
        'http://studio.example:8080/data/upload/1/a.png',
        'https://images.example/a.png',
        'http://images.example:81/a.png',
        'http://10.0.0.1:82/a.png',
        'http://[::1]:82/a.png',
    ],
)
def test_what_may_be_fetched(url):
    images = TaskImages(hosts=['Images.example', '10.0.0.1:82', '[::1]:82'])
    assert images.find(url) == ImageSource(url)


@pytest.mark.parametrize(
    ('url', 'message'),
    [
        (
            'http://169.254.169.254/latest/meta-data',
            'are not fetched; --allow-host 169.254.169.254',
        ),
        ('http://studio.example/a.png', 'images of studio.example are not fetched'),  # another port
        ('http://10.0.0.1/a.png', 'images of 10.0.0.1 are not fetched'),
        ('http://images.example@evil.example/a', 'expected the address of an image'),
        ('http://evil.example\\@images.example/a', 'expected the address of an image'),
        ('http:///a.png', 'images of  are not fetched'),
        ('http://[a.png', 'expected the address of an image'),
        ('file:///etc/passwd', 'expected an image of Label Studio'),
        ('ftp://images.example/a.png', 'expected an image of Label Studio'),
        ('/etc/passwd', 'expected an image of Label Studio'),
        ('//images.example/a.png', 'expected an image of Label Studio'),
        ('../a.png', 'expected an image of Label Studio'),
        ('/data/../admin', 'expected an image of Label Studio'),
        ('data:image/png;base64,AA', 'expected an image of Label Studio'),
        ('http://images.example/a\nHost: b', 'expected the address of an image'),
        ('', 'expected the address of an image'),
        (None, 'expected the address of an image, got None'),
        (['a'], 'expected the address of an image'),
    ],
)
def test_what_may_not(url, message):
    with pytest.raises(ValueError, match=message):
        TaskImages(hosts=['images.example', '10.0.0.1:82']).find(url)


def test_without_a_label_studio_no_host_is_known(monkeypatch):
    for value in (None, 'studio.example'):  # without a scheme it names no host
        if value is None:
            monkeypatch.delenv('LABEL_STUDIO_URL')
        else:
            monkeypatch.setenv('LABEL_STUDIO_URL', value)
        for url in ('http://studio.example/a', 'http:///a'):
            with pytest.raises(ValueError, match='are not fetched'):
                TaskImages().find(url)


def test_a_download_is_removed():
    def fetch(url, folder, *, task_id):
        path = Path(folder, 'a.png')
        path.write_text(f'{url} {task_id}')
        return path

    images = TaskImages(fetch=fetch)
    with images.file(images.find('s3://bucket/a.png'), task_id=7) as path:
        assert path.read_text() == 's3://bucket/a.png 7'
    assert not path.exists() and not path.parent.exists()


def test_a_download_that_fails_names_the_image():
    def fetch(url, folder, *, task_id):
        raise KeyError('token')

    images = TaskImages(fetch=fetch)
    with (
        pytest.raises(OSError, match="^/data/upload/1/a.png: 'token'"),
        images.file(images.find('/data/upload/1/a.png')),
    ):
        pass
