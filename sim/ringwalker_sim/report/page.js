// The charts of a report. Everything in a chart is a row; rows of a chart share the axis below them, and
// charts of the same time share what part of it they show.
'use strict';
(async () => {
const NS = document.getElementById('blank').namespaceURI;
const $ = id => document.getElementById(id);
const NARROW = 640, LEFT = 176, RIGHT = 96, AXIS = 26, NAME = 17;

// --- the page ---------------------------------------------------------------------------------------------

const root = document.documentElement, themes = ['auto', 'light', 'dark'];
function wear(theme) {
  root.style.colorScheme = theme === 'auto' ? '' : theme;
  $('theme').textContent = `Theme: ${theme}`;
  $('theme').dataset.theme = theme;
}
let theme = 'auto';
try { theme = localStorage.getItem('ringwalker-theme') || 'auto'; } catch { /* not kept */ }
wear(themes.includes(theme) ? theme : 'auto');
$('theme').hidden = false;
$('theme').onclick = () => {
  theme = themes[(themes.indexOf($('theme').dataset.theme) + 1) % themes.length];
  try { localStorage.setItem('ringwalker-theme', theme); } catch { /* not kept */ }
  wear(theme);
};
for (const button of document.querySelectorAll('button[data-copy]')) {
  button.hidden = false;
  button.onclick = async () => {
    const text = $(button.dataset.copy).textContent.trim();
    try { await navigator.clipboard.writeText(text); } catch {
      const area = document.createElement('textarea');
      area.value = text; document.body.append(area); area.select(); document.execCommand('copy'); area.remove();
    }
    button.textContent = 'Copied';
    setTimeout(() => { button.textContent = 'Copy'; }, 1500);
  };
}
const links = [...document.querySelectorAll('nav a')];
const spy = new IntersectionObserver(entries => {
  for (const entry of entries) if (entry.isIntersecting)
    for (const link of links) link.toggleAttribute('aria-current', link.hash === '#' + entry.target.id);
}, {rootMargin: '-10% 0px -80% 0px'});
for (const section of document.querySelectorAll('main section')) spy.observe(section);
for (const table of document.querySelectorAll('table.sortable')) sortable(table);

function sortable(table) {
  const body = table.tBodies[0];
  const key = (row, place) => {
    const text = row.cells[place].dataset.value ?? row.cells[place].textContent;
    const number = parseFloat(text.replace(/,/g, ''));
    return Number.isNaN(number) ? text : number;
  };
  [...table.tHead.rows[0].cells].forEach((cell, place) => {
    const button = document.createElement('button');
    button.textContent = cell.textContent; cell.replaceChildren(button);
    button.onclick = () => {
      const down = cell.getAttribute('aria-sort') === 'ascending';
      for (const other of table.tHead.rows[0].cells) other.removeAttribute('aria-sort');
      cell.setAttribute('aria-sort', down ? 'descending' : 'ascending');
      const rows = [...body.rows].sort((a, b) => {
        const x = key(a, place), y = key(b, place);
        return (x < y ? -1 : x > y ? 1 : 0) * (down ? -1 : 1);
      });
      body.append(...rows);
    };
  });
}

// --- data -------------------------------------------------------------------------------------------------

if (!$('data')) return;
let data, column;
try {
  data = JSON.parse($('data').textContent);
  const packed = Uint8Array.from(atob($('columns').textContent.trim()), c => c.charCodeAt(0));
  const stream = new Blob([packed]).stream().pipeThrough(new DecompressionStream('deflate'));
  const buffer = await new Response(stream).arrayBuffer();
  column = name => {
    const [kind, offset, count] = data.columns[name];
    return new globalThis[kind](buffer, offset, count);
  };
} catch (error) {
  for (const host of document.querySelectorAll('.chart'))
    host.textContent = `The charts need a browser of 2023 or later (${error.message}).`;
  return;
}
const number = new Intl.NumberFormat('en-US', {maximumFractionDigits: 0});
const fixed = (value, digits) =>
  (value + 0).toLocaleString('en-US', {minimumFractionDigits: digits, maximumFractionDigits: digits});
function short(value) {
  const size = Math.abs(value);
  if (size < 1e-9) return '0';
  return value.toLocaleString('en-US', {maximumFractionDigits: size >= 100 ? 0 : size >= 10 ? 1 : size >= 0.1 ? 2 : 4});
}
const micro = cycles => `${short(cycles / data.clock)} µs`;
const cycled = cycles => `${number.format(cycles)} cycles (${micro(cycles)})`;
function below(sorted, value) {       // how many are less
  let low = 0, high = sorted.length;
  while (low < high) { const at = low + high >> 1; if (sorted[at] < value) low = at + 1; else high = at; }
  return low;
}
const bounds = data.boundaries.length;
const requests = (() => {
  const at = column('at'), name = column('request'), queue = column('queue');
  const readable = column('readable'), written = column('written');
  return [...name].map((n, place) => ({
    n, queue: queue[place], readable: readable[place], written: written[place],
    at: at.subarray(place * bounds, (place + 1) * bounds), slot: 0,
  })).sort((a, b) => a.at[0] - b.at[0]);
})();
let slots = 0;
{
  const free = [];
  for (const request of requests) {
    let slot = free.findIndex(until => until <= request.at[0]);
    if (slot < 0) slot = free.length;
    free[slot] = request.at[bounds - 1];
    request.slot = slot;
  }
  slots = free.length;
}
const tlp = Object.fromEntries(['Begin', 'End', 'Kind', 'Up', 'Tag', 'Bytes', 'Wire', 'High', 'Low', 'Has']
  .map(name => [name.toLowerCase(), column('tlp' + name)]));
const ofDirection = [0, 1].map(up => {
  const places = [];
  for (let n = 0; n < tlp.end.length; n++) if (tlp.up[n] === up) places.push(n);
  return {places, ends: places.map(n => tlp.end[n])};
});
for (const [number, lane] of data.lanes.entries()) {
  const values = column('lane' + number), sums = new Float64Array(values.length + 1);
  for (let n = 0; n < values.length; n++) sums[n + 1] = sums[n] + values[n];
  lane.until = time => {
    const at = Math.min(Math.max(time / data.window, 0), values.length), low = Math.floor(at);
    return sums[low] + (low < values.length ? values[low] * (at - low) : 0);
  };
  lane.mean = (from, to) => (lane.until(to) - lane.until(from)) / (to - from) * lane.scale;
}
const kindColour = {'memory read': 'var(--t-read)', 'memory write': 'var(--t-write)',
                    'completion': 'var(--t-completion)', 'interrupt': 'var(--t-interrupt)'};
const colourOf = kind => kindColour[data.kinds[kind]] || 'var(--t-other)';

// --- what part is shown -----------------------------------------------------------------------------------

class View {
  constructor(from, to, least) {
    Object.assign(this, {least, all: [from, Math.max(to, from + least)], heard: new Set()});
    [this.from, this.to] = this.all;
  }
  set(from, to) {
    const [first, last] = this.all, span = Math.min(Math.max(to - from, this.least), last - first);
    const middle = (from + to) / 2;
    this.from = Math.min(Math.max(middle - span / 2, first), last - span);
    this.to = this.from + span;
    for (const hear of this.heard) hear();
  }
  zoom(factor, at = (this.from + this.to) / 2) {
    this.set(at - (at - this.from) * factor, at + (this.to - at) * factor);
  }
  move(part) { const by = (this.to - this.from) * part; this.set(this.from + by, this.to + by); }
  reset() { this.set(...this.all); }
  get whole() { return this.to - this.from >= (this.all[1] - this.all[0]) * 0.9999; }
}
const time = new View(0, data.cycles, 8);

// Round times in a part of the axis, each with its words; time 0 is cycle `origin`.
function ticks({from, to}, origin, count) {
  const [low, high] = [from, to].map(at => (at - origin) / data.clock);
  const rough = (high - low) / Math.max(1, count), power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 5, 10].map(n => n * power).find(n => n >= rough * 0.999);
  const digits = Math.max(0, -Math.floor(Math.log10(step) + 1e-9)), found = [];
  for (let n = Math.ceil(low / step - 1e-9) + 0; n * step <= high + step * 1e-9; n++)
    found.push({at: n * step * data.clock + origin, text: `${fixed(n * step, digits)} µs`});
  return found;
}

function make(name, attributes, ...children) {
  const made = document.createElementNS(NS, name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  made.append(...children);
  return made;
}
const tip = $('tip');
function showTip(lines, x, y) {
  if (!lines) { tip.hidden = true; return; }
  tip.replaceChildren(...lines.map((line, n) => {
    const made = document.createElement(n ? 'div' : 'b');
    made.textContent = line;
    return made;
  }));
  tip.hidden = false;
  const box = tip.getBoundingClientRect();
  tip.style.left = `${Math.max(4, Math.min(x + 14, innerWidth - box.width - 8))}px`;
  tip.style.top = `${y + 18 + box.height > innerHeight ? y - box.height - 10 : y + 18}px`;
}

// --- a chart ----------------------------------------------------------------------------------------------

let shades = 0;
class Chart {
  constructor(host, view, rows, origin = 0, also = () => '') {
    Object.assign(this, {host, view, rows, origin, also, shade: `shade${shades++}`});
    const bar = document.createElement('div');
    bar.className = 'tools';
    this.range = document.createElement('span');
    this.range.className = 'range';
    this.range.setAttribute('aria-live', 'polite');
    const button = (text, title, act) => {
      const made = document.createElement('button');
      made.textContent = text; made.title = title; made.setAttribute('aria-label', title); made.onclick = act;
      return made;
    };
    this.whole = button('Reset', 'Show all', () => view.reset());
    bar.append(this.range, button('−', 'Zoom out', () => view.zoom(2)),
               button('+', 'Zoom in', () => view.zoom(0.5)), this.whole);
    this.frame = document.createElement('div');
    this.frame.className = 'frame';
    this.frame.tabIndex = 0;
    this.frame.setAttribute('role', 'group');
    this.frame.setAttribute('aria-label', `${host.getAttribute('aria-label')}. Keys: plus and minus zoom, ` +
                                          'arrows move, 0 shows all.');
    host.removeAttribute('aria-label');
    this.svg = make('svg', {'aria-hidden': 'true'});
    this.frame.append(this.svg);
    host.replaceChildren(bar, this.frame);
    view.heard.add(() => this.soon());
    new ResizeObserver(() => this.soon()).observe(host);
    this.listen();
    this.draw();
  }
  soon() {
    if (this.waiting) return;
    this.waiting = true;
    requestAnimationFrame(() => { this.waiting = false; this.draw(); });
  }
  listen() {
    const {frame, view} = this;
    let begin = null;
    frame.addEventListener('pointerdown', event => {
      if (event.button > 1 || !this.inside(event)) return;
      if (event.button === 1) event.preventDefault();
      begin = {x: this.x(event), pan: event.shiftKey || event.button === 1, from: view.from, to: view.to};
      frame.setPointerCapture(event.pointerId);
    });
    frame.addEventListener('pointermove', event => {
      const x = this.x(event);
      if (begin?.pan) {
        const by = (begin.x - x) / this.scale;
        view.set(begin.from + by, begin.to + by);
      } else if (begin) this.brush(begin.x, x);
      this.hover(event);
    });
    const end = event => {
      if (!begin) return;
      const {x, pan} = begin, to = this.x(event);
      begin = null; this.brush(0, 0);
      if (!pan && event.type === 'pointerup' && Math.abs(to - x) > 5)
        view.set(...[x, to].sort((a, b) => a - b).map(at => this.at(at)));
    };
    frame.addEventListener('pointerup', end);
    frame.addEventListener('pointercancel', end);
    frame.addEventListener('pointerleave', () => { showTip(null); this.line?.setAttribute('visibility', 'hidden'); });
    frame.addEventListener('dblclick', () => view.reset());
    frame.addEventListener('wheel', event => {
      // The page scrolls unless this chart was chosen.
      if (!event.ctrlKey && !event.metaKey && document.activeElement !== frame) return;
      event.preventDefault();
      if (Math.abs(event.deltaX) > Math.abs(event.deltaY)) view.move(event.deltaX / 600);
      else view.zoom(Math.exp(event.deltaY / 400), this.at(this.x(event)));
    }, {passive: false});
    frame.addEventListener('keydown', event => {
      const act = {'+': () => view.zoom(0.5), '=': () => view.zoom(0.5), '-': () => view.zoom(2),
                   '0': () => view.reset(), 'Escape': () => view.reset(),
                   'ArrowLeft': () => view.move(-0.2), 'ArrowRight': () => view.move(0.2)}[event.key];
      if (act && !event.ctrlKey && !event.metaKey) { act(); event.preventDefault(); }
    });
  }
  x(event) { return event.clientX - this.frame.getBoundingClientRect().left - this.frame.clientLeft; }
  at(x) { return this.view.from + (x - this.left) / this.scale; }
  inside(event) { const x = this.x(event); return x >= this.left && x <= this.left + this.inner; }
  place(at) { return this.left + (at - this.view.from) * this.scale; }
  brush(a, b) {
    this.brushed.setAttribute('x', Math.min(a, b));
    this.brushed.setAttribute('width', Math.abs(a - b));
  }
  hover(event) {
    const x = this.x(event);
    if (!this.inside(event)) { showTip(null); return; }
    const y = event.clientY - this.frame.getBoundingClientRect().top;
    this.line.setAttribute('visibility', 'visible');
    this.line.setAttribute('x1', x); this.line.setAttribute('x2', x);
    const row = this.rows.find(row => y >= row.top && y < row.top + row.tall);
    showTip(row?.tell?.(this.at(x), 1 / this.scale, y - row.body, this) || null, event.clientX, event.clientY);
  }
  draw() {
    const width = this.host.clientWidth;
    if (!width) return;
    const {svg, view} = this, narrow = this.narrow = width < NARROW;
    this.left = narrow ? 4 : LEFT;
    this.inner = width - this.left - (narrow ? 4 : RIGHT);
    this.scale = this.inner / (view.to - view.from);
    const back = [], drawn = [];
    let y = 4;
    for (const row of this.rows) {
      row.top = y;
      if (row.heading) {
        drawn.push(make('text', {x: narrow ? 4 : 0, y: y + 20, class: 'heading'}, row.heading));
        row.tall = 28; row.body = y; y += row.tall;
        continue;
      }
      row.body = y + (narrow ? NAME : 0);
      row.tall = row.height + (narrow ? NAME : 0) + 6;
      back.push(make('rect', {x: this.left, y: row.body, width: this.inner, height: row.height, class: 'ground'}));
      drawn.push(...row.draw(this));
      const middle = narrow ? y + 12 : row.body + Math.min(row.height / 2 + 4, 18);
      drawn.push(make('text', {x: narrow ? this.left : LEFT - 10, y: middle, class: narrow ? 'name' : 'name end'},
                      row.name));
      const marks = (row.marks || []).filter(Boolean);
      if (narrow) drawn.push(make('text', {x: this.left + this.inner, y: middle, class: 'mark end'}, marks.join(row.joint || ', ')));
      else marks.forEach((mark, n) => drawn.push(make('text', {
        x: this.left + this.inner + 8, y: row.body + 13 + 15 * n, class: 'mark'}, mark)));
      y += row.tall;
    }
    for (const {at, text: words} of ticks(view, this.origin, this.inner / (narrow ? 90 : 110))) {
      const x = this.place(at);
      back.push(make('line', {x1: x, x2: x, y1: 4, y2: y, class: 'grid'}));
      const text = make('text', {x, y: y + 15, class: 'tick'}, words), half = words.length * 3.6;
      if (x - half >= 0 && x + half <= width) drawn.push(text);
    }
    this.line = make('line', {y1: 4, y2: y, class: 'cursor', visibility: 'hidden'});
    this.brushed = make('rect', {x: 0, y: 4, width: 0, height: y - 4, class: 'brush'});
    svg.setAttribute('width', width);
    svg.setAttribute('height', y + AXIS);
    const clip = make('clipPath', {id: this.shade},
                      make('rect', {x: this.left, y: 0, width: this.inner, height: y}));
    const inside = make('g', {'clip-path': `url(#${this.shade})`});
    const outside = [];
    for (const item of drawn) (item.tagName === 'text' && !item.dataset.inside ? outside : []).push(item);
    inside.append(...drawn.filter(item => !outside.includes(item)));
    svg.replaceChildren(clip, ...back, inside, ...outside, this.line, this.brushed);
    const [first, last] = [view.from, view.to].map(at => number.format(Math.round(at - this.origin)));
    this.range.textContent = view.whole ? 'All is shown' : `Cycles ${first} to ${last}${this.also()}`;
    this.whole.disabled = view.whole;
    this.svg.dataset.from = view.from;
    this.svg.dataset.to = view.to;
  }
}
function inText(text, x, y) {
  const made = make('text', {x, y, class: 'in'}, text);
  made.dataset.inside = '';
  return made;
}

// --- rows -------------------------------------------------------------------------------------------------

function laneRow(lane, height = 34) {
  const percent = lane.unit === '%' ? ' %' : '';
  return {
    name: lane.name, height,
    draw(chart) {
      const {view} = chart, steps = Math.max(1, Math.floor(chart.inner / 1.5)), wide = (view.to - view.from) / steps;
      const values = Array.from({length: steps}, (_, n) => lane.mean(view.from + n * wide, view.from + (n + 1) * wide));
      const most = lane.full || Math.max(...values);
      this.marks = [`${short(most)}${percent}`, `mean ${short(lane.mean(view.from, view.to))}${percent}`];
      const base = this.body + height, up = value => base - (most ? Math.min(1, value / most) * (height - 3) : 0);
      let path = `M${chart.left} ${base}`;
      values.forEach((value, n) => {
        const x = chart.left + n * chart.inner / steps;
        path += `L${x.toFixed(1)} ${up(value).toFixed(1)}`;
      });
      path += `L${chart.left + chart.inner} ${up(values[steps - 1]).toFixed(1)}V${base}Z`;
      const colour = lane.segment === null ? 'var(--line)' : `var(--s${lane.segment})`;
      return [make('path', {d: path, style: `fill:${colour}`, class: 'area'})];
    },
    tell(at, dot) {
      const from = Math.max(at - Math.max(dot, data.window) / 2, 0), to = from + Math.max(dot, data.window);
      const unit = lane.unit === '%' ? '% of the link' : lane.unit;
      return [lane.name, `${short(lane.mean(from, to))} ${unit}`, cycled(Math.round(at))];
    },
  };
}

function requestsRow(list, height, name) {
  const rows = list.length === 1 ? 1 : slots, step = height / rows;
  const find = (at, y) => list.find(request => (rows === 1 || Math.floor(y / step) === request.slot) &&
                                               request.at[0] <= at && at <= request.at[bounds - 1]);
  return {
    name, height,
    draw(chart) {
      const paths = data.segments.map(() => ''), texts = [], tall = Math.max(1, step - (step > 4 ? 1 : 0.3));
      for (const request of list) {
        if (request.at[bounds - 1] < chart.view.from || request.at[0] > chart.view.to) continue;
        const y = this.body + (rows === 1 ? 0 : request.slot * step);
        for (let n = 0; n < bounds - 1; n++) {
          const a = request.at[n], b = request.at[n + 1];
          if (b <= a || b < chart.view.from || a > chart.view.to) continue;
          const x = Math.max(chart.place(a), chart.left - 2);
          const wide = Math.max(Math.min(chart.place(b), chart.left + chart.inner + 2) - x, 0.4);
          paths[n] += `M${x.toFixed(1)} ${y.toFixed(1)}h${wide.toFixed(1)}v${tall.toFixed(1)}h${(-wide).toFixed(1)}z`;
          if (tall >= 16 && wide > data.segments[n].length * 7 + 8)
            texts.push(inText(data.segments[n], x + 5, y + tall / 2 + 4));
        }
      }
      return [...paths.map((d, n) => d && make('path', {d, style: `fill:var(--s${n})`})).filter(Boolean), ...texts];
    },
    tell(at, _dot, y) {
      const request = find(at, y);
      if (!request) return null;
      const n = Math.min(request.at.findLastIndex(time => time <= at), bounds - 2);
      return [`request ${request.n}, queue ${request.queue}`,
              `${data.segments[n]}: ${cycled(request.at[n + 1] - request.at[n])}`,
              `latency ${cycled(request.at[bounds - 1] - request.at[0])}`];
    },
  };
}

const tlpTexts = n => {
  const address = tlp.has[n] ? '0x' + (tlp.high[n] ? tlp.high[n].toString(16) +
                  tlp.low[n].toString(16).padStart(8, '0') : tlp.low[n].toString(16)) : '';
  return {kind: data.kinds[tlp.kind[n]], address};
};
function tlpRow(up, height = 30) {
  const {places, ends} = ofDirection[up];
  return {
    name: up ? 'from the device' : 'to the device', height, joint: ' ',
    draw(chart) {
      const {from, to} = chart.view, paths = {}, last = {}, texts = [];
      let count = 0;
      for (let n = below(ends, from); n < places.length && tlp.begin[places[n]] <= to; n++) {
        const place = places[n], kind = tlp.kind[place], x = chart.place(tlp.begin[place]);
        count++;
        const wide = Math.max(chart.place(tlp.end[place]) - x, 1);
        if (x + wide <= (last[kind] ?? -1)) continue;
        last[kind] = x + wide;
        const shown = wide > 3 ? wide - 0.7 : wide;
        paths[kind] = (paths[kind] || '') +
          `M${x.toFixed(2)} ${this.body + 2}h${shown.toFixed(2)}v${height - 4}h${(-shown).toFixed(2)}z`;
        const text = `${data.kinds[kind]} ${tlp.bytes[place]}`;
        if (wide > text.length * 7 + 8 && x >= chart.left) texts.push(inText(text, x + 5, this.body + height / 2 + 4));
      }
      this.marks = [number.format(count), count === 1 ? 'TLP' : 'TLPs'];
      return [...Object.entries(paths).map(([kind, d]) => make('path', {d, style: `fill:${colourOf(kind)}`})), ...texts];
    },
    tell(at, dot) {
      let best = -1, near = 3 * dot;
      for (let n = Math.max(0, below(ends, at) - 1); n < Math.min(places.length, below(ends, at) + 2); n++) {
        const place = places[n];
        const away = Math.max(tlp.begin[place] - at, at - tlp.end[place], 0);
        if (away < near || best < 0 && away === 0) { best = place; near = away; }
      }
      if (best < 0) return null;
      const {kind, address} = tlpTexts(best);
      return [kind, `${tlp.bytes[best]} bytes, ${tlp.wire[best]} on the wire`,
              `tag ${tlp.tag[best]}${address ? `, ${address}` : ''}`,
              `cycles ${number.format(tlp.begin[best])} to ${number.format(tlp.end[best])}`];
    },
  };
}

// --- latency ----------------------------------------------------------------------------------------------

const latencies = column('latencies');
if ($('latency-chart') && latencies.length) {
  const all = latencies.length, low = latencies[0], high = latencies[all - 1], pad = Math.max(1, (high - low) * 0.03);
  const view = new View(Math.max(0, low - pad), high + pad, 4);
  const rank = p => latencies[Math.max(0, Math.ceil(all * p / 100 - 1e-9) - 1)];
  const marks = [50, 90, 99, 99.9].map(p => ({p, at: rank(p)}));
  // Most of them first, if a few would make them a line.
  const most = Math.max(4, rank(99.5) - rank(5));
  if (most < (high - low) / 4) view.set(rank(5) - most, rank(99.5) + most);
  const inView = () => `: ${number.format(below(latencies, view.to) - below(latencies, view.from))} of ` +
                       `${number.format(all)} requests`;
  const bins = chart => {
    const count = Math.max(8, Math.min(120, Math.floor(chart.inner / 9)));
    const step = Math.max(1, Math.ceil((view.to - view.from) / count));
    const first = Math.floor(view.from / step) * step, found = [];
    for (let at = first; at < view.to; at += step)
      found.push({at, step, n: below(latencies, at + step) - below(latencies, at)});
    return found;
  };
  const markLines = (chart, row) => marks.flatMap(({p, at}) => at >= view.from && at <= view.to ?
    [make('line', {x1: chart.place(at), x2: chart.place(at), y1: row.body, y2: row.body + row.height, class: 'percentile'})]
    : []);
  const histogram = {
    name: 'requests', height: 190,
    draw(chart) {
      const found = bins(chart), most = Math.max(1, ...found.map(bin => bin.n));
      this.marks = [number.format(most)];
      let d = '';
      for (const {at, step, n} of found) if (n) {
        const x = chart.place(at), wide = Math.max(1, step * chart.scale - 1), tall = Math.max(1, n / most * (this.height - 52));
        d += `M${x.toFixed(1)} ${this.body + this.height}v${(-tall).toFixed(1)}h${wide.toFixed(1)}v${tall.toFixed(1)}z`;
      }
      const texts = [], free = [];
      for (const {p, at} of marks) {
        const x = chart.place(at), text = `p${p}`, wide = text.length * 7.5 + 6;
        if (at < view.from || at > view.to) continue;
        const left = x + wide > chart.left + chart.inner ? x - wide : x + 4;
        let line = free.findIndex(end => end <= left);
        if (line < 0) line = free.length;
        free[line] = left + wide;
        texts.push(inText(text, left, this.body + 14 + 15 * line));
      }
      return [make('path', {d, class: 'bars'}), ...markLines(chart, this), ...texts];
    },
    tell(at, _dot, _y, chart) {
      const bin = bins(chart).findLast(bin => bin.at <= at);
      if (!bin) return null;
      return [`${number.format(bin.n)} of ${number.format(all)}`,
              bin.step === 1 ? cycled(bin.at) : `${number.format(bin.at)} to ${cycled(bin.at + bin.step - 1)}`];
    },
  };
  const distribution = {
    name: 'not slower', height: 130, marks: ['100 %'],
    draw(chart) {
      let d = '', before = -1;
      const base = this.body + this.height, up = part => (base - part * (this.height - 6)).toFixed(1);
      const first = below(latencies, view.from);
      d = `M${chart.left} ${up(first / all)}`;
      for (let n = first; n < all && latencies[n] <= view.to; n++) {
        if (latencies[n] === latencies[n + 1]) continue;
        const x = chart.place(latencies[n]);
        if (x - before < 0.7 && n < all - 1) continue;
        d += `H${x.toFixed(1)}V${up((n + 1) / all)}`;
        before = x;
      }
      d += `H${chart.left + chart.inner}`;
      const half = make('line', {x1: chart.left, x2: chart.left + chart.inner, y1: up(0.5), y2: up(0.5), class: 'grid'});
      return [half, make('path', {d, class: 'curve'}), ...markLines(chart, this)];
    },
    tell(at) {
      return [`${short(100 * below(latencies, at + 1) / all)} % take at most`, cycled(Math.round(at))];
    },
  };
  new Chart($('latency-chart'), view, [histogram, distribution], 0, inView);
}

// --- time -------------------------------------------------------------------------------------------------

if ($('time-chart')) {
  const rows = [];
  let group = '';
  for (const lane of data.lanes) {
    if (lane.group !== group) rows.push({heading: group = lane.group});
    rows.push(laneRow(lane));
    if (lane.name === 'in flight' && requests.length > 1)
      rows.push(requestsRow(requests, Math.min(260, Math.max(60, slots * 7)), 'each request'));
  }
  new Chart($('time-chart'), time, rows);
}
if ($('tlp-chart')) {
  new Chart($('tlp-chart'), time, [1, 0].map(up => tlpRow(up, 40)));
  const MOST = 60, body = $('tlp-list').tBodies[0];
  const list = () => {
    const lists = ofDirection.map(({places, ends}) => {
      const from = below(ends, time.from), found = [];
      let n = from;
      for (; n < places.length && tlp.begin[places[n]] <= time.to; n++) if (found.length < MOST) found.push(places[n]);
      return {found, count: n - from};
    });
    const count = lists[0].count + lists[1].count;
    const shown = [...lists[0].found, ...lists[1].found].sort((a, b) => tlp.end[a] - tlp.end[b]).slice(0, MOST);
    $('tlp-count').textContent = count > shown.length ?
      `${number.format(count)} TLPs are in view; these are the first ${shown.length}. Zoom in for others.` :
      `${number.format(count)} TLPs are in view.`;
    body.replaceChildren(...shown.map(n => {
      const {kind, address} = tlpTexts(n), row = document.createElement('tr');
      const cells = [number.format(tlp.end[n]), tlp.up[n] ? 'from the device' : 'to the device', kind, tlp.tag[n],
                     address, number.format(tlp.bytes[n]), number.format(tlp.wire[n])];
      cells.forEach((text, place) => {
        const cell = document.createElement('td');
        cell.textContent = text;
        if ([0, 3, 5, 6].includes(place)) cell.className = 'n';
        if (place === 4) cell.className = 'mono';
        if (place === 2) { cell.className = 'kind'; cell.style.setProperty('--c', colourOf(tlp.kind[n])); }
        row.append(cell);
      });
      return row;
    }));
  };
  let pending = 0;
  time.heard.add(() => { clearTimeout(pending); pending = setTimeout(list, 80); });
  list();
}

// --- slowest ----------------------------------------------------------------------------------------------

const link = data.lanes.filter(lane => lane.group === 'Link');
for (const details of document.querySelectorAll('details[data-request]')) {
  details.addEventListener('toggle', () => {
    const host = details.querySelector('.chart');
    if (!details.open || host.firstChild) return;
    const request = requests.find(({n}) => n === Number(details.dataset.request));
    const begin = request.at[0], end = request.at[bounds - 1], pad = Math.max(2, (end - begin) * 0.02);
    const view = new View(Math.max(0, begin - pad), end + pad, 8);
    new Chart(host, view, [requestsRow([request], 30, 'this request'), ...link.map(lane => laneRow(lane, 30)),
                           {heading: 'TLPs'}, tlpRow(1), tlpRow(0)], begin);
    const button = details.querySelector('button');
    button.hidden = false;
    button.onclick = () => { time.set(begin - pad, end + pad); $('time').scrollIntoView(); };
  });
  if (details.open) details.dispatchEvent(new Event('toggle'));
}
root.dataset.ready = '';
})();
