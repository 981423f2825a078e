// What can be wrong with a page: functions for browser.py, which calls them inside of the page.
const SLACK = 1.5;
function named(element) {
  const words = (element.textContent || '').trim().replace(/\s+/g, ' ').slice(0, 50);
  const kind = element.getAttribute('class');
  const id = element.id ? '#' + element.id : kind ? '.' + kind.trim().split(/\s+/).join('.') : '';
  return `${element.tagName.toLowerCase()}${id} "${words}"`;
}
function seen(element) {
  return element.checkVisibility({opacityProperty: true, visibilityProperty: true,
                                  contentVisibilityAuto: true});
}
function clips(style) { return style.overflowX !== 'visible' || style.overflowY !== 'visible'; }
function overflow() {
  const root = document.documentElement, wide = root.clientWidth;
  if (root.scrollWidth <= wide) return [];
  const found = [];
  for (const element of document.body.querySelectorAll('*')) {
    const box = element.getBoundingClientRect();
    if (box.right <= wide + SLACK || !seen(element)) continue;
    let held = false;
    for (let up = element.parentElement; up && up !== document.body; up = up.parentElement)
      held ||= clips(getComputedStyle(up));
    if (!held) found.push(`${named(element)} ends at ${Math.round(box.right)} of ${wide}`);
  }
  return found.length ? found : [`the page is ${root.scrollWidth} wide, of ${wide}`];
}
function cut() {
  const found = [];
  for (const element of document.body.querySelectorAll('*')) {
    if (element instanceof SVGElement || !seen(element)) continue;
    if (![...element.childNodes].some(n => n.nodeType === 3 && n.data.trim())) continue;
    const style = getComputedStyle(element);
    // What only a program that reads the page aloud is to find has a pixel.
    if (element.clientWidth <= 1 || element.clientHeight <= 1) continue;
    const x = ['hidden', 'clip'].includes(style.overflowX) && element.scrollWidth > element.clientWidth + SLACK;
    const y = ['hidden', 'clip'].includes(style.overflowY) && element.scrollHeight > element.clientHeight + SLACK;
    if (x || y) found.push(named(element));
  }
  for (const svg of document.querySelectorAll('svg')) {
    if (!seen(svg) || getComputedStyle(svg).overflow === 'visible') continue;
    const frame = svg.getBoundingClientRect();
    for (const text of svg.querySelectorAll('text')) {
      const box = text.getBoundingClientRect();
      if (!box.width || !seen(text) || text.closest('[clip-path]')) continue;
      if (box.left < frame.left - SLACK || box.right > frame.right + SLACK ||
          box.top < frame.top - SLACK || box.bottom > frame.bottom + SLACK) found.push(named(text));
    }
  }
  return found;
}
function pieces(ignored, all = false) {
  const found = [], walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walker.nextNode()) {
    const node = walker.currentNode, element = node.parentElement;
    if (!node.data.trim() || element.closest('script, style, title, option')) continue;
    if (!seen(element) || ignored.some(selector => element.closest(selector))) continue;
    let frame = {left: -1e9, top: -1e9, right: 1e9, bottom: 1e9}, loose = false;
    for (let up = element; up && up !== document.body; up = up.parentElement) {
      const style = getComputedStyle(up);
      if (['fixed', 'sticky'].includes(style.position)) loose = true;
      if (!clips(style)) continue;
      const box = up.getBoundingClientRect();
      frame = {left: Math.max(frame.left, box.left), top: Math.max(frame.top, box.top),
               right: Math.min(frame.right, box.right), bottom: Math.min(frame.bottom, box.bottom)};
    }
    if (loose && !all) continue;
    const range = document.createRange();
    range.selectNodeContents(node);
    for (const box of range.getClientRects()) {
      // Letters fill less than the height of their line.
      const trim = box.height * 0.15;
      const piece = {left: Math.max(box.left, frame.left), right: Math.min(box.right, frame.right),
                     top: Math.max(box.top + trim, frame.top), bottom: Math.min(box.bottom - trim, frame.bottom),
                     element, text: node.data.trim().slice(0, 40)};
      if (piece.right - piece.left > SLACK && piece.bottom - piece.top > SLACK) found.push(piece);
    }
  }
  return found;
}
function shown(selector) {
  const frame = selector ? document.querySelector(selector).getBoundingClientRect() :
    {left: 0, top: 0, right: innerWidth, bottom: innerHeight};
  return [...new Set(pieces([], true)
    .filter(({left, right, top, bottom}) => left < frame.right && right > frame.left &&
                                            top < frame.bottom && bottom > frame.top)
    .map(({element, text}) => text))];
}
function overlaps(ignored) {
  const all = pieces(ignored).sort((a, b) => a.top - b.top), found = [];
  all.forEach((a, place) => {
    for (let next = place + 1; next < all.length && all[next].top < a.bottom - SLACK; next++) {
      const b = all[next];
      if (b.left < a.right - SLACK && a.left < b.right - SLACK) found.push(`"${a.text}" and "${b.text}"`);
    }
  });
  return found;
}
function faint(least) {
  const paint = document.createElement('canvas').getContext('2d', {willReadFrequently: true});
  const dots = colour => {
    paint.clearRect(0, 0, 1, 1); paint.fillStyle = colour; paint.fillRect(0, 0, 1, 1);
    return [...paint.getImageData(0, 0, 1, 1).data];
  };
  const light = ([r, g, b]) => [r, g, b].map(v => v / 255)
    .map(v => v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4)
    .reduce((sum, v, n) => sum + v * [0.2126, 0.7152, 0.0722][n], 0);
  const over = (top, under) => [0, 1, 2].map(n => top[n] * top[3] / 255 + under[n] * (1 - top[3] / 255));
  const found = new Set();
  for (const {element, text} of pieces([])) {
    if (element instanceof SVGElement) continue;
    const layers = [];
    for (let up = element; up; up = up.parentElement) layers.unshift(dots(getComputedStyle(up).backgroundColor));
    const behind = layers.reduce((under, layer) => over(layer, under), [255, 255, 255]);
    const front = over(dots(getComputedStyle(element).color), behind);
    const [a, b] = [light(front), light(behind)].sort((x, y) => y - x), ratio = (a + 0.05) / (b + 0.05);
    if (ratio < least) found.add(`"${text}" ${ratio.toFixed(2)}`);
  }
  return [...found];
}
