// The page of `mmp2seg annotate`: click points, see their masks. The server is annotation/server.py.
//
// A point is {key, x, y, label}: x and y in pixels of the image, continuous (the centre of a pixel
// is at .5), `key` a number of this page. Lists of points are never changed but replaced, so that
// undo keeps the old ones.

const ROW = 26; // height of a row of the list, as in page.css
const MOVED = 4; // screen pixels: a press that moves less is a click
const RADIUS = 6; // of a point, in screen pixels
const RETRY = 2000; // ms until a save is tried again

const $ = (id) => document.getElementById(id);
const view = $('view');

let session; // what the server says once
let colors; // of a label
let shown = []; // places of the images that the filter leaves in the list
let label; // chosen class
let doc = null; // the image on the page
let wanted = -1; // its place
let selected = null; // key of a point
let scale = 1; // screen pixels per pixel of the image
let origin = [0, 0]; // of the image, on the screen
let fitted = true; // the whole image is shown, also when the window changes its size
let lastKey = 0;
const docs = new Map(); // images that were opened, by their places
const broken = new Set(); // places of images that cannot be read

// ---------------------------------------------------------------------------------- server

class RequestFailed extends Error {
  constructor(status, body) {
    super(body.message ?? `the server answers ${status}`);
    this.status = status;
    this.body = body;
  }
}

async function ask(path, options = {}) {
  const response = await fetch(path, options);
  const body = await response.json();
  if (!response.ok) throw new RequestFailed(response.status, body);
  return body;
}

function imagePath(place, rest = '') {
  return `api/images/${place}${rest}`;
}

function pixelsPath(place, version) {
  return imagePath(place, `/pixels?version=${version}`);
}

// ---------------------------------------------------------------------------------- documents

// Take over what the server says about the points of an image.
function takePoints(target, answer) {
  target.ids = new Map();
  target.points = answer.points.map((point) => {
    const key = (lastKey += 1);
    target.ids.set(key, point.id);
    return { key, x: point.x, y: point.y, label: point.label };
  });
  target.empty = answer.empty;
  target.revision = answer.revision;
}

async function load(place) {
  const known = docs.get(place);
  if (known?.saving) return known; // it has points that the server has not
  const answer = await ask(imagePath(place));
  broken.delete(place);
  if (known && known.revision === answer.revision) {
    known.version = answer.version;
    return known;
  }
  const loaded = { place, undo: [], redo: [], masks: new Map(), failures: new Map(), saving: false };
  Object.assign(loaded, { width: answer.width, height: answer.height, version: answer.version });
  takePoints(loaded, answer);
  docs.set(place, loaded);
  setCount(loaded);
  return loaded;
}

async function open(place) {
  if (place < 0 || place >= session.names.length) return;
  wanted = place;
  selected = null;
  history.replaceState(null, '', `#${encodeURIComponent(session.names[place])}`);
  $('name').textContent = session.names[place];
  say(null);
  let loaded = null;
  try {
    loaded = await load(place);
  } catch (error) {
    if (wanted !== place) return;
    if (error instanceof RequestFailed) broken.add(place);
    say(error instanceof RequestFailed ? error.message : 'The command does not answer.');
  }
  if (wanted !== place) return; // the user went on
  doc = loaded;
  $('pixels').toggleAttribute('hidden', doc === null);
  if (doc) {
    const pixels = $('pixels');
    pixels.setAttribute('href', pixelsPath(place, doc.version));
    pixels.setAttribute('width', doc.width);
    pixels.setAttribute('height', doc.height);
    fit();
    askForMasks();
    prefetch(place + 1);
  }
  render();
  renderList({ follow: true });
}

async function prefetch(place) {
  if (place >= session.names.length || docs.has(place) || broken.has(place)) return;
  try {
    const answer = await ask(imagePath(place));
    new Image().src = pixelsPath(place, answer.version);
  } catch {
    // it is said when the image is opened
  }
}

// Replace the points of the image, so that undo brings the old ones back.
function change(points, empty = false) {
  doc.undo.push({ points: doc.points, empty: doc.empty });
  doc.redo = [];
  setPoints(points, empty);
}

function setPoints(points, empty) {
  doc.points = points;
  doc.empty = empty && points.length === 0;
  if (!points.some((point) => point.key === selected)) selected = null;
  setCount(doc);
  render();
  save(doc);
}

function undo(from, to) {
  if (!doc || doc[from].length === 0) return;
  doc[to].push({ points: doc.points, empty: doc.empty });
  const { points, empty } = doc[from].pop();
  setPoints(points, empty);
}

// Save the newest points; what changes meanwhile is saved afterwards.
async function save(target) {
  target.dirty = true;
  if (target.saving) return;
  target.saving = true;
  renderStatus();
  while (target.dirty) {
    target.dirty = false;
    const sent = target.points;
    const points = sent.map(({ key, x, y, label: name }) => {
      return { x, y, label: name, id: target.ids.get(key) ?? null };
    });
    const body = JSON.stringify({ points, empty: target.empty, revision: target.revision });
    const headers = { 'Content-Type': 'application/json' };
    const before = target.problem;
    target.problem = null;
    try {
      const answer = await ask(imagePath(target.place), { method: 'PUT', headers, body });
      takeIds(target, sent, answer);
      if (before) say(null);
    } catch (error) {
      if (!(error instanceof RequestFailed)) {
        target.problem = 'the command does not answer; trying again';
        target.dirty = true;
        sayProblem(target);
        await new Promise((resolve) => setTimeout(resolve, RETRY));
      } else if (error.body.current && samePoints(sent, error.body.current)) {
        takeIds(target, sent, error.body.current); // its answer was lost
      } else if (error.body.current) {
        giveWay(target, error.body.current);
      } else {
        target.problem = error.message;
        sayProblem(target);
      }
    }
  }
  target.saving = false;
  renderStatus();
  if (target === doc) askForMasks();
}

function sayProblem(target) {
  say(`${session.names[target.place]} is not saved: ${target.problem}`);
  renderStatus();
}

// The server has the object points first and then the background clicks.
function takeIds(target, sent, answer) {
  const isClick = (point) => point.label === session.background;
  const order = [...sent.filter((p) => !isClick(p)), ...sent.filter(isClick)];
  order.forEach((point, index) => target.ids.set(point.key, answer.points[index]?.id ?? null));
  target.revision = answer.revision;
}

function samePoints(sent, current) {
  const text = (point) => `${point.x} ${point.y} ${point.label}`;
  const other = new Set(current.points.map(text));
  return sent.length === other.size && sent.every((point) => other.has(text(point)));
}

// Another tab changed the image: show its points, and let undo bring back those of this tab.
function giveWay(target, current) {
  const mine = { points: target.points, empty: target.empty };
  const ids = target.ids;
  takePoints(target, current);
  ids.forEach((id, key) => target.ids.set(key, id));
  target.undo.push(mine);
  target.redo = [];
  target.dirty = false;
  setCount(target);
  if (target === doc) {
    say('This image was changed in another tab. Its points are shown; undo brings back yours.');
    render();
  }
}

// ---------------------------------------------------------------------------------- masks

let maskRequest = null;

async function askForMasks() {
  const target = doc;
  if (!target || target.saving || target.problem) return;
  maskRequest?.abort();
  maskRequest = new AbortController();
  const { signal } = maskRequest;
  setMaskState('waiting', target.points.length ? 'masks: …' : '');
  const { points, revision } = target;
  // the server has the object points first
  const objects = points.filter((point) => point.label !== session.background);
  let answer = { status: 'pending' };
  let path = imagePath(target.place, `/masks?revision=${revision}&now=1`);
  while (answer.status === 'pending') {
    try {
      answer = await ask(path, { signal });
      if (answer.is_loading) setMaskState('waiting', 'masks: loading the model …');
      path = imagePath(target.place, `/masks?revision=${revision}`); // waits for them
    } catch (error) {
      if (error.name === 'AbortError') return;
      answer = { status: 'error', message: error.message };
    }
    if (target !== doc || target.revision !== revision) return;
  }
  if (answer.status === 'ready') {
    target.masks = new Map(answer.masks.map((mask) => [objects[mask.point].key, mask]));
    target.failures = new Map(answer.dropped.map((p) => [objects[p.point].key, p.reason]));
    const found = answer.masks.length;
    setMaskState('ready', objects.length ? `masks: ${found} of ${objects.length} points` : '');
  } else if (answer.status === 'stale') {
    setMaskState('stale', 'masks: of older points');
  } else {
    setMaskState('none', `no masks: ${answer.message}`);
  }
  render();
}

function setMaskState(state, text) {
  document.body.dataset.masks = state;
  $('masks').classList.toggle('waiting', state === 'waiting');
  $('mask-state').textContent = text;
  $('mask-state').title = text;
}

// ---------------------------------------------------------------------------------- view

function stageSize() {
  const box = view.getBoundingClientRect();
  return [box.width, box.height];
}

function fit() {
  if (!doc) return;
  const [width, height] = stageSize();
  const margin = 24;
  scale = Math.min((width - margin) / doc.width, (height - margin) / doc.height);
  scale = Math.max(scale, 0.01);
  origin = [(width - scale * doc.width) / 2, (height - scale * doc.height) / 2];
  fitted = true;
  renderView();
}

function zoom(factor, [x, y]) {
  if (!doc) return;
  const [width, height] = stageSize();
  const least = Math.min(1, width / doc.width / 2, height / doc.height / 2);
  const next = Math.min(Math.max(scale * factor, least), 64);
  origin = [x - ((x - origin[0]) * next) / scale, y - ((y - origin[1]) * next) / scale];
  scale = next;
  fitted = false;
  renderView();
}

function onScreen(event) {
  const box = view.getBoundingClientRect();
  return [event.clientX - box.left, event.clientY - box.top];
}

function inImage([x, y]) {
  return [(x - origin[0]) / scale, (y - origin[1]) / scale];
}

// The nearest place of a point in the image, to a hundredth of a pixel.
function inside([x, y]) {
  const clamp = (value, end) => Math.min(Math.max(Math.round(value * 100) / 100, 0), end - 0.01);
  return [clamp(x, doc.width), clamp(y, doc.height)];
}

function isInside([x, y]) {
  return x >= 0 && y >= 0 && x < doc.width && y < doc.height;
}

// ---------------------------------------------------------------------------------- points

function addPoint(place) {
  const [x, y] = inside(place);
  const problem = whyRefused({ x, y, label });
  if (problem) return say(problem, { quiet: true });
  say(null);
  change([...doc.points, { key: (lastKey += 1), x, y, label }]);
}

// The rules of the point json, see assemble_point_json.
function whyRefused(point, others = doc.points) {
  const samePixel = (other) =>
    Math.floor(other.x) === Math.floor(point.x) && Math.floor(other.y) === Math.floor(point.y);
  const isClick = (p) => p.label === session.background;
  for (const other of others) {
    if (other.x === point.x && other.y === point.y && other.label === point.label) {
      return 'There is such a point here already.';
    }
    if (isClick(other) !== isClick(point) && samePixel(other)) {
      return 'A pixel cannot be an object and background.';
    }
  }
  return null;
}

function replacePoint(point) {
  const problem = whyRefused(point, doc.points.filter((other) => other.key !== point.key));
  if (problem) {
    say(problem, { quiet: true });
    render();
  } else {
    change(doc.points.map((other) => (other.key === point.key ? point : other)));
  }
}

function deletePoint(key) {
  if (doc?.points.some((point) => point.key === key)) {
    change(doc.points.filter((point) => point.key !== key));
  }
}

function choose(name) {
  label = name;
  const point = doc?.points.find((other) => other.key === selected);
  if (point && point.label !== name) replacePoint({ ...point, label: name });
  renderClasses();
}

function select(key) {
  selected = key;
  render();
}

// ---------------------------------------------------------------------------------- drawing

function svg(tag, attributes, parent) {
  const element = document.createElementNS('http://www.w3.org/2000/svg', tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  parent?.append(element);
  return element;
}

function render() {
  renderMasks();
  renderPoints();
  renderFailures();
  renderStatus();
}

function renderView() {
  $('scene').setAttribute('transform', `translate(${origin}) scale(${scale})`);
  $('pixels').classList.toggle('large', scale > 3);
  for (const element of $('points').children) placePoint(element, element.point);
}

function placePoint(element, { x, y }) {
  const place = [origin[0] + x * scale, origin[1] + y * scale];
  element.setAttribute('transform', `translate(${place})`);
}

function renderMasks() {
  const paths = [];
  for (const { key, label: name } of doc?.points ?? []) {
    const mask = doc.masks.get(key);
    if (!mask || !$('show-masks').checked) continue;
    const path = svg('path', { d: mask.path, fill: colors[name], stroke: colors[name] });
    path.classList.toggle('selected', key === selected);
    paths.push(path);
  }
  $('masks').replaceChildren(...paths);
}

function renderPoints() {
  $('points').replaceChildren(...(doc?.points ?? []).map(pointElement));
}

function pointElement(point) {
  const element = svg('g', { class: 'point', 'data-label': point.label });
  element.point = point;
  element.classList.toggle('selected', point.key === selected);
  const reason = doc.failures.get(point.key);
  if (point.label === session.background) {
    const box = { x: -RADIUS + 1, y: -RADIUS + 1, width: 2 * RADIUS - 2, height: 2 * RADIUS - 2 };
    svg('rect', { ...box, class: 'rim' }, element);
    svg('rect', { ...box, class: 'dot', fill: colors[point.label] }, element);
  } else if (reason) {
    const cross = `M-${RADIUS} -${RADIUS}L${RADIUS} ${RADIUS}M-${RADIUS} ${RADIUS}L${RADIUS} -${RADIUS}`;
    svg('path', { d: cross, class: 'rim wide' }, element);
    svg('path', { d: cross, class: 'cross', stroke: colors[point.label] }, element);
  } else {
    svg('circle', { r: RADIUS, class: 'rim' }, element);
    svg('circle', { r: RADIUS, class: 'dot', fill: colors[point.label] }, element);
  }
  svg('circle', { r: RADIUS + 3, class: 'hit' }, element);
  svg('title', {}, element).textContent = reason ? `${point.label}: ${reason}` : point.label;
  placePoint(element, point);
  return element;
}

function renderFailures() {
  const failed = (doc?.points ?? []).filter((point) => doc.failures.has(point.key));
  $('failed').hidden = failed.length === 0;
  $('failures').replaceChildren(
    ...failed.map((point) => {
      const button = document.createElement('button');
      const place = `${point.x.toFixed(1)}, ${point.y.toFixed(1)}`;
      button.textContent = `${point.label} (${place}): ${doc.failures.get(point.key)}`;
      button.addEventListener('click', () => select(point.key));
      return button;
    }),
  );
}

function renderStatus() {
  const unsaved = [...docs.values()].filter((other) => other.saving || other.problem);
  let text = doc ? `saved in ${session.file}` : '';
  if (unsaved.length) text = 'saving …';
  const failed = unsaved.find((other) => other.problem);
  if (failed) text = 'NOT SAVED';
  $('saved').textContent = text;
  $('saved').title = failed?.problem ?? text;
  $('saved').classList.toggle('bad', Boolean(failed));
  document.body.dataset.saved = unsaved.length === 0;
  document.body.dataset.image = doc ? session.names[doc.place] : '';
  $('undo').disabled = !doc?.undo.length;
  $('redo').disabled = !doc?.redo.length;
  $('empty').checked = doc?.empty ?? false;
  $('empty').disabled = !doc || doc.points.length > 0;
  $('previous').disabled = neighbour(-1) === null;
  $('next').disabled = neighbour(1) === null;
}

function renderClasses() {
  const names = [...session.classes.map((entry) => entry.name), session.background];
  $('classes').replaceChildren(
    ...names.map((name, index) => {
      const isBackground = index === names.length - 1;
      const button = document.createElement('button');
      button.className = 'class';
      button.classList.toggle('chosen', name === label);
      const swatch = document.createElement('span');
      swatch.className = isBackground ? 'swatch square' : 'swatch';
      swatch.style.background = colors[name];
      const text = document.createElement('span');
      text.className = 'label';
      text.textContent = name;
      const key = document.createElement('kbd');
      key.textContent = isBackground ? '0' : index < 9 ? index + 1 : '';
      button.append(swatch, text, key);
      button.addEventListener('click', () => choose(name));
      return button;
    }),
  );
  $('classes').querySelector('.chosen')?.scrollIntoView({ block: 'nearest' });
}

// ---------------------------------------------------------------------------------- list of images

function setCount(target) {
  const before = session.counts[target.place];
  session.counts[target.place] = target.empty ? -1 : target.points.length;
  if (before !== session.counts[target.place]) renderList();
}

// Draw the rows that can be seen; with `follow`, scroll to the image on the page.
function renderList({ follow = false } = {}) {
  const list = $('list');
  const position = shown.indexOf(wanted);
  if (follow && position >= 0) {
    const top = position * ROW;
    if (top < list.scrollTop || top + ROW > list.scrollTop + list.clientHeight) {
      list.scrollTop = top - list.clientHeight / 2;
    }
  }
  $('rows').style.height = `${shown.length * ROW}px`;
  const first = Math.max(0, Math.floor(list.scrollTop / ROW) - 5);
  const last = Math.min(shown.length, first + Math.ceil(list.clientHeight / ROW) + 10);
  const rows = [];
  for (let index = first; index < last; index += 1) rows.push(rowElement(shown[index], index));
  $('rows').replaceChildren(...rows);
  const done = session.counts.filter((count) => count !== 0).length;
  const empty = session.counts.filter((count) => count < 0).length;
  $('progress').textContent = `${done - empty} of ${session.names.length} images have points`;
  $('empty-images').textContent = `${empty} ${empty === 1 ? 'has' : 'have'} no objects`;
  $('empty-images').hidden = empty === 0;
  $('meter').max = session.names.length;
  $('meter').value = done;
}

function rowElement(place, index) {
  const row = document.createElement('div');
  row.className = 'row';
  row.style.top = `${index * ROW}px`;
  row.classList.toggle('current', place === wanted);
  row.classList.toggle('broken', broken.has(place));
  row.title = session.names[place];
  const file = document.createElement('span');
  file.className = 'file';
  file.textContent = session.names[place];
  const count = document.createElement('span');
  count.className = 'count';
  const number = session.counts[place];
  count.textContent = number < 0 ? 'none' : number || '';
  row.append(file, count);
  row.addEventListener('click', () => open(place));
  return row;
}

function filterList() {
  const text = $('filter').value.toLowerCase();
  shown = [...session.names.keys()].filter((place) =>
    session.names[place].toLowerCase().includes(text),
  );
  renderList({ follow: true });
  renderStatus();
}

// The place of the next or previous image in the list, null at its end.
function neighbour(step) {
  const position = shown.indexOf(wanted);
  if (position < 0) return shown.length ? shown[0] : null; // the filter hides the image
  return shown[position + step] ?? null;
}

function go(step) {
  const place = neighbour(step);
  if (place !== null) open(place);
}

// ---------------------------------------------------------------------------------- messages

let quietTimer = 0;

function say(text, { quiet = false } = {}) {
  clearTimeout(quietTimer);
  $('notice').hidden = !text;
  $('notice').textContent = text ?? '';
  $('notice').classList.toggle('quiet', quiet);
  if (quiet) quietTimer = setTimeout(() => say(null), 3000);
}

// ---------------------------------------------------------------------------------- input

let press = null; // {start, origin, key, pan, moved} of a pressed button

view.addEventListener('pointerdown', (event) => {
  if (!doc || event.button > 1 || press) return;
  event.preventDefault();
  document.activeElement?.blur();
  view.setPointerCapture(event.pointerId);
  const key = event.button === 0 ? event.target.closest('.point')?.point.key : undefined;
  press = { start: onScreen(event), origin, key, button: event.button, moved: false };
});

view.addEventListener('pointermove', (event) => {
  if (!doc) return;
  const place = onScreen(event);
  const [x, y] = inImage(place);
  $('place').textContent = isInside([x, y]) ? `${x.toFixed(1)}, ${y.toFixed(1)}` : '';
  if (!press) return;
  const shift = [place[0] - press.start[0], place[1] - press.start[1]];
  press.moved ||= Math.hypot(...shift) > MOVED;
  if (!press.moved) return;
  if (press.key === undefined) {
    view.classList.add('panning');
    origin = [press.origin[0] + shift[0], press.origin[1] + shift[1]];
    fitted = false;
    renderView();
    return;
  }
  const element = [...$('points').children].find((other) => other.point.key === press.key);
  if (!element) return;
  const { point } = element;
  const [px, py] = inside([point.x + shift[0] / scale, point.y + shift[1] / scale]);
  press.target = { ...point, x: px, y: py };
  placePoint(element, press.target);
});

view.addEventListener('pointerup', (event) => {
  const ended = press;
  press = null;
  view.classList.remove('panning');
  if (!ended || !doc) return;
  if (ended.target) {
    replacePoint(ended.target);
  } else if (ended.moved || ended.button !== 0) {
    return;
  } else if (ended.key !== undefined) {
    select(selected === ended.key ? null : ended.key);
  } else if (isInside(inImage(onScreen(event)))) {
    selected = null;
    addPoint(inImage(onScreen(event)));
  } else {
    select(null);
  }
});

view.addEventListener('pointercancel', () => {
  press = null;
  view.classList.remove('panning');
  renderPoints();
});

view.addEventListener('contextmenu', (event) => {
  event.preventDefault();
  const key = event.target.closest('.point')?.point.key;
  if (key !== undefined) deletePoint(key);
});

view.addEventListener(
  'wheel',
  (event) => {
    event.preventDefault();
    const lines = event.deltaMode === WheelEvent.DOM_DELTA_LINE ? 30 : 1;
    zoom(Math.exp(-event.deltaY * lines * 0.002), onScreen(event));
  },
  { passive: false },
);

document.addEventListener('keydown', (event) => {
  if (event.target.matches('input[type="search"]')) {
    if (event.key === 'Escape' || event.key === 'Enter') event.target.blur();
    return;
  }
  const control = event.ctrlKey || event.metaKey;
  const key = event.key.length === 1 ? event.key.toLowerCase() : event.key;
  if (control && key === 'z') {
    if (event.shiftKey) undo('redo', 'undo');
    else undo('undo', 'redo');
  } else if (control && key === 'y') undo('redo', 'undo');
  else if (control || event.altKey || press) return;
  else if (key === 'ArrowRight' || key === 'n') go(1);
  else if (key === 'ArrowLeft' || key === 'p') go(-1);
  else if (key === 'Delete' || key === 'Backspace') deletePoint(selected);
  else if (key === 'Escape') select(null);
  else if (key === 'f') fit();
  else if (key === 'm') $('show-masks').click();
  else if (key === 'e') $('empty').click();
  else if (key === '+' || key === '=') zoom(1.25, stageSize().map((side) => side / 2));
  else if (key === '-') zoom(0.8, stageSize().map((side) => side / 2));
  else if (key === '0') choose(session.background);
  else if (key >= '1' && key <= '9' && session.classes[key - 1]) {
    choose(session.classes[key - 1].name);
  } else return;
  event.preventDefault();
});

$('previous').addEventListener('click', () => go(-1));
$('next').addEventListener('click', () => go(1));
$('undo').addEventListener('click', () => undo('undo', 'redo'));
$('redo').addEventListener('click', () => undo('redo', 'undo'));
$('fit').addEventListener('click', fit);
$('show-masks').addEventListener('change', renderMasks);
$('empty').addEventListener('change', (event) => doc && change(doc.points, event.target.checked));
$('filter').addEventListener('input', filterList);
$('list').addEventListener('scroll', () => renderList());
$('pixels').addEventListener('error', () => {
  if (doc) say(`${session.names[doc.place]}: the server does not send this image`);
});
new ResizeObserver(() => {
  if (fitted) fit();
  if (session) renderList();
}).observe($('stage'));

addEventListener('beforeunload', (event) => {
  if (document.body.dataset.saved === 'false') event.preventDefault();
});

// ---------------------------------------------------------------------------------- start

try {
  session = await ask('api/session');
  colors = Object.fromEntries(session.classes.map(({ name, color }) => [name, color]));
  colors[session.background] = '#8a8f98';
  label = session.classes[0].name;
  document.title = `${session.folder}: points`;
  shown = [...session.names.keys()];
  renderClasses();
  renderList();
  const named = session.names.indexOf(decodeURIComponent(location.hash.slice(1)));
  const unseen = session.counts.indexOf(0);
  await open(named >= 0 ? named : Math.max(0, unseen));
} catch (error) {
  say(`The page cannot start: ${error.message}`);
}
