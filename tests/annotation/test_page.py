"""The page in a real browser: Chromium of the system, driven by Playwright."""

import json
import os
import shutil
import threading

import numpy as np
import pytest
from PIL import Image

from mmp2seg.annotation.mask_worker import MaskWorker
from mmp2seg.annotation.pictures import Pictures
from mmp2seg.annotation.point_store import PointStore
from mmp2seg.annotation.server import AnnotationServer
from mmp2seg.files.image_folder import image_names

playwright = pytest.importorskip('playwright.sync_api', reason='Playwright is not installed')
BROWSERS = ('chromium', 'chromium-browser', 'google-chrome', 'google-chrome-stable')
TIMEOUT = 20_000  # ms


def find_browser():
    """The variable MMP2SEG_CHROMIUM, a browser on the path, or Playwright's own; else None."""
    named = os.environ.get('MMP2SEG_CHROMIUM')
    if named:
        return named
    found = next(filter(None, map(shutil.which, BROWSERS)), None)
    if found is None:
        with playwright.sync_playwright() as engine:
            own = engine.chromium.executable_path
        found = own if os.path.exists(own) else None
    return found


@pytest.fixture(scope='module')
def browser():
    path = find_browser()
    if path is None:
        pytest.skip(f'no browser: expected one of {", ".join(BROWSERS)}, or MMP2SEG_CHROMIUM')
    with playwright.sync_playwright() as engine:
        # the sandbox needs rights that containers and root do not have
        started = engine.chromium.launch(executable_path=path, args=['--no-sandbox'])
        yield started
        started.close()


def predict(name, points):
    """Squares around the points; those of class dog fail."""
    masks, dropped = [], []
    for index, point in enumerate(points):
        x, y = int(point.x), int(point.y)
        path = f'M{x - 5} {y - 5}L{x + 5} {y - 5}L{x + 5} {y + 5}L{x - 5} {y + 5}Z'
        if point.label == 'dog':
            dropped.append(dict(point=index, reason='no dog here'))
        elif point.label == 'cat':
            masks.append(dict(point=index, score=0.5, path=path))
    return dict(masks=masks, dropped=dropped)


@pytest.fixture
def folder(tmp_path):
    """Three images and one that is broken; the photograph is stored on its side."""
    (tmp_path / 'images').mkdir()
    rng = np.random.default_rng(0)
    for name in ('a.png', 'd.png'):
        pixels = rng.integers(0, 255, (120, 200, 3), np.uint8)
        Image.fromarray(pixels).save(tmp_path / 'images' / name)
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.new('RGB', (80, 60), 'green').save(tmp_path / 'images' / 'b.jpg', exif=exif)
    (tmp_path / 'images' / 'c.png').write_text('no image')
    return tmp_path


class Command:
    """The server of `mmp2seg annotate` in a thread, on one port also after a restart."""

    def __init__(self, folder):
        self.images, self.out = folder / 'images', folder / 'points.json'
        self.port = 0
        self.start()

    def start(self):
        names = image_names(self.images)
        store = PointStore(self.out, names, ['cat', 'dog'])
        worker = MaskWorker(lambda: predict)
        self.server = AnnotationServer(store, Pictures(self.images), worker, port=self.port)
        self.port = self.server.server_address[1]
        self.thread = threading.Thread(
            target=self.server.serve_forever, kwargs={'poll_interval': 0.02}
        )
        self.thread.start()

    def stop(self):
        self.server.shutdown()
        self.server.server_close()
        self.server.worker.close()
        self.thread.join()

    def saved(self, name='a.png'):
        """The points of an image in the file: (class, x, y), background clicks last."""
        content = json.loads(self.out.read_text())
        names = {category['id']: category['name'] for category in content['categories']}
        for image in content['images']:
            if image['file_name'] == name:
                points = [
                    (names[a['category_id']], *a['point'])
                    for a in content['annotations']
                    if a['image_id'] == image['id']
                ]
                clicks = image.get('background_points', [])
                return points + [('background', *click) for click in clicks]
        return None


@pytest.fixture
def command(folder):
    command = Command(folder)
    yield command
    command.stop()


class Tab:
    """A tab of the browser with the page."""

    def __init__(self, browser, command, image='a.png'):
        self.page = browser.new_page(viewport=dict(width=1100, height=700))
        self.page.set_default_timeout(TIMEOUT)
        self.problems = []
        self.page.on('pageerror', lambda error: self.problems.append(str(error)))
        self.page.on('console', self._note)
        self.foreign = []
        self.page.on('request', self._watch)
        self.url = command.server.url
        self.page.goto(f'{self.url}#{image}')
        self.wait_for_image(image)

    def _note(self, message):
        # Chromium also writes refused requests to the console
        if message.type == 'error' and 'Failed to load resource' not in message.text:
            self.problems.append(message.text)

    def _watch(self, request):
        if not request.url.startswith((self.url, 'data:')):
            self.foreign.append(request.url)

    def wait_for_image(self, name):
        self.page.wait_for_selector(f'body[data-image="{name}"][data-saved="true"]')

    def wait_for_save(self):
        self.page.wait_for_selector('body[data-saved="true"]')

    def box(self, selector):
        """The box of an element on the screen; drawing the page again replaces elements."""
        for _ in range(50):
            box = self.page.locator(selector).bounding_box()
            if box is not None:
                return box
            self.page.wait_for_timeout(20)
        raise AssertionError(f'{selector} has no box')

    def frame(self):
        """Left and upper edge of the image on the screen, and screen pixels per pixel."""
        box = self.box('#pixels')
        width = float(self.page.get_attribute('#pixels', 'width'))
        return box['x'], box['y'], box['width'] / width

    def place(self, x, y):
        """Where the point (x, y) of the image is on the screen."""
        left, top, scale = self.frame()
        return left + x * scale, top + y * scale

    def place_in_image(self, x, y):
        left, top, scale = self.frame()
        return (x - left) / scale, (y - top) / scale

    def click(self, x, y, **options):
        self.page.mouse.click(*self.place(x, y), **options)
        self.wait_for_save()

    def press(self, *keys):
        for key in keys:
            self.page.keyboard.press(key)
        self.wait_for_save()

    def drag(self, start, end):
        self.page.mouse.move(*start)
        self.page.mouse.down()
        self.page.mouse.move((start[0] + end[0]) / 2, (start[1] + end[1]) / 2)
        self.page.mouse.move(*end)
        self.page.mouse.up()
        self.wait_for_save()

    def zoom(self, x, y, *, times):
        """Turn the wheel at the point (x, y) of the image, which stays where it is."""
        place = np.round(self.place(x, y))  # the wheel's place is in whole pixels
        self.page.mouse.move(*place)
        x, y = self.place_in_image(*place)
        for _ in range(times):
            before = self.page.get_attribute('#scene', 'transform')
            self.page.mouse.wheel(0, -200)
            changed = 'old => document.querySelector("#scene").getAttribute("transform") !== old'
            self.page.wait_for_function(changed, arg=before)
        np.testing.assert_allclose(self.place(x, y), place, atol=0.5)

    def labels(self):
        """Labels of the points that the page shows."""
        return [e.get_attribute('data-label') for e in self.page.query_selector_all('.point')]


@pytest.fixture
def tab(browser, command):
    tab = Tab(browser, command)
    yield tab
    tab.page.close()
    assert tab.problems == []
    assert tab.foreign == []  # the page asks no other server


def assert_points(found, expected):
    """Labels are equal, and places to less than half of a screen pixel, here 0.15 pixels."""
    assert [point[0] for point in found] == [point[0] for point in expected]
    places = [np.array([point[1:] for point in points], float) for points in (found, expected)]
    np.testing.assert_allclose(*places, atol=0.2)


def test_clicks_are_saved_and_found_again(tab, command):
    tab.click(30.5, 40.5)
    tab.press('2')
    tab.click(150, 20)
    tab.press('0')
    tab.click(100, 100)
    expected = [('cat', 30.5, 40.5), ('dog', 150, 20), ('background', 100, 100)]
    assert_points(command.saved(), expected)
    assert tab.page.inner_text('#progress') == '1 of 4 images have points'
    assert tab.page.inner_text('.row.current .count') == '3'
    before = command.out.read_bytes()

    tab.page.reload()
    tab.wait_for_image('a.png')
    assert tab.labels() == ['cat', 'dog', 'background']
    place = tab.box('.point[data-label="cat"]')
    centre = place['x'] + place['width'] / 2, place['y'] + place['height'] / 2
    np.testing.assert_allclose(centre, tab.place(30.5, 40.5), atol=1)

    command.stop()  # the next click goes to a new command, without a reload
    command.start()
    assert command.out.read_bytes() == before
    tab.click(60, 60)
    assert_points(command.saved(), [expected[0], expected[1], ('cat', 60, 60), expected[2]])


def test_masks_and_points_without_one(tab):
    tab.click(30, 40)
    tab.page.wait_for_selector('#masks path')
    assert tab.page.get_attribute('#masks path', 'd') == 'M25 35L35 35L35 45L25 45Z'
    tab.press('2')
    tab.click(150, 20)
    tab.page.wait_for_selector('.point .cross')
    assert 'dog (150' in tab.page.inner_text('#failures')
    assert 'no dog here' in tab.page.inner_text('#failures')
    assert tab.page.inner_text('#mask-state') == 'masks: 1 of 2 points'
    tab.press('m')
    assert tab.page.locator('#masks path').count() == 0
    tab.press('m')
    assert tab.page.locator('#masks path').count() == 1
    tab.page.click('#failures button')
    assert tab.page.locator('.point.selected').get_attribute('data-label') == 'dog'
    tab.press('Delete')
    assert tab.page.is_hidden('#failed') and tab.labels() == ['cat']


def test_zoom_and_pan_keep_the_coordinates(tab, command):
    tab.zoom(150, 30, times=6)
    tab.click(150.5, 30.5)
    start = tab.place(152, 32)
    tab.drag(start, (start[0] - 120, start[1] + 60))  # the image, not a point
    np.testing.assert_allclose(tab.place(152, 32), (start[0] - 120, start[1] + 60), atol=1)
    tab.click(155.25, 30.75)
    before = tab.frame()
    tab.page.set_viewport_size(dict(width=1000, height=600))
    tab.page.wait_for_timeout(100)
    assert tab.frame() == before
    tab.press('f')
    tab.click(10, 110)
    assert_points(command.saved(), [('cat', 150.5, 30.5), ('cat', 155.25, 30.75), ('cat', 10, 110)])


def test_points_are_moved_selected_and_deleted(tab, command):
    tab.click(30, 40)
    tab.click(100, 60)
    ids = [a['id'] for a in json.loads(command.out.read_text())['annotations']]
    tab.drag(tab.place(30, 40), tab.place(50, 80))
    assert_points(command.saved(), [('cat', 50, 80), ('cat', 100, 60)])
    assert [a['id'] for a in json.loads(command.out.read_text())['annotations']] == ids
    tab.click(50, 80)  # selects it
    assert len(command.saved()) == 2
    tab.press('2')
    assert_points(command.saved(), [('dog', 50, 80), ('cat', 100, 60)])
    tab.press('Delete')
    assert_points(command.saved(), [('cat', 100, 60)])
    tab.drag(tab.place(100, 60), tab.place(400, -50))  # stays in the image
    assert_points(command.saved(), [('cat', 199.99, 0)])
    tab.click(199.9, 0.1, button='right')
    assert command.saved() is None
    assert tab.labels() == []


def test_undo_and_redo(tab, command):
    tab.click(30, 40)
    tab.click(100, 60)
    before = command.out.read_bytes()
    tab.press('Control+z')
    assert_points(command.saved(), [('cat', 30, 40)])
    tab.press('Control+y')
    assert command.out.read_bytes() == before  # with the same ids
    tab.press('Control+z', 'Control+z')
    assert command.saved() is None
    tab.press('Control+Shift+z')
    assert_points(command.saved(), [('cat', 30, 40)])
    tab.click(60, 60)
    assert tab.page.is_disabled('#redo')
    tab.page.click('#undo')
    tab.wait_for_save()
    assert_points(command.saved(), [('cat', 30, 40)])


def test_the_keyboard_goes_through_the_images(tab, command):
    tab.press('ArrowRight')
    tab.wait_for_image('b.jpg')
    tab.click(50, 70)  # 60 wide and 80 high: the browser and the file agree about the rotation
    assert_points(command.saved('b.jpg'), [('cat', 50, 70)])
    tab.press('n')
    tab.page.wait_for_selector('#notice:not([hidden])')
    assert 'c.png: expected an image' in tab.page.inner_text('#notice')
    assert tab.page.locator('.row.broken').inner_text() == 'c.png'
    tab.page.mouse.click(500, 300)  # there is nothing to click on
    tab.press('n')
    tab.wait_for_image('d.png')
    assert tab.page.is_hidden('#notice')
    tab.press('e')
    assert command.saved('d.png') == []
    assert tab.page.inner_text('#progress') == '1 of 4 images have points'
    assert tab.page.inner_text('#empty-images') == '1 has no objects'
    tab.press('p', 'ArrowLeft')
    tab.wait_for_image('b.jpg')
    assert tab.labels() == ['cat']
    tab.press('Control+z')  # each image has its own history
    assert command.saved('b.jpg') is None and command.saved('d.png') == []
    tab.page.fill('#filter', 'D.P')
    assert tab.page.locator('.row').all_inner_texts() == ['d.png\nnone']
    tab.page.keyboard.press('1')  # into the field
    assert tab.page.input_value('#filter') == 'D.P1'


def test_points_that_cannot_be_saved_are_refused(tab, command):
    tab.click(30.5, 40.5)
    tab.press('0')
    tab.zoom(30.5, 40.5, times=8)
    tab.click(30.9, 40.1)
    assert 'cannot be an object and background' in tab.page.inner_text('#notice')
    assert tab.labels() == ['cat']
    tab.press('f')
    tab.page.mouse.click(*tab.place(-2, 50))
    assert tab.labels() == ['cat'] and len(command.saved()) == 1


def test_two_tabs_lose_no_points(tab, command, browser):
    tab.click(30, 40)
    other = Tab(browser, command)
    assert other.labels() == ['cat']
    other.click(60, 60)
    tab.press('2')
    tab.click(100, 60)
    assert 'changed in another tab' in tab.page.inner_text('#notice')
    assert tab.labels() == ['cat', 'cat']
    assert_points(command.saved(), [('cat', 30, 40), ('cat', 60, 60)])
    tab.press('Control+z')  # what this tab had
    assert_points(command.saved(), [('cat', 30, 40), ('dog', 100, 60)])
    other.page.close()
    assert other.problems == []


def test_a_command_that_ended_loses_no_points(tab, command):
    tab.click(30, 40)
    command.stop()
    tab.page.mouse.click(*tab.place(100, 60))
    tab.page.wait_for_selector('#saved.bad')
    assert 'a.png is not saved: the command does not answer' in tab.page.inner_text('#notice')
    command.start()
    tab.wait_for_save()
    assert tab.page.is_hidden('#notice')
    assert_points(command.saved(), [('cat', 30, 40), ('cat', 100, 60)])


def test_a_file_that_another_program_changed(tab, command):
    tab.click(30, 40)
    text = command.out.read_text() + '\n'
    command.out.write_text(text)
    tab.page.mouse.click(*tab.place(100, 60))
    tab.page.wait_for_selector('#saved.bad')
    assert tab.page.inner_text('#saved') == 'NOT SAVED'
    assert 'another program changed this file' in tab.page.inner_text('#notice')
    assert command.out.read_text() == text
