// The chart: what is in view, how it is drawn, and how mouse and keys move it.

const element = id => document.getElementById(id);
const chartBox = element("chart");

const [firstTime, lastTime] = data.range ?? [0, 0];
const [stripFrom, stripTo] = data.strip_range ?? [0, 0];

// Likelihoods cover powers of ten, and the low ones matter.
const view = {
  from: firstTime, to: lastTime, low: 0, high: 1,
  scale: logPossible && smallest < .01 ? "log" : "linear",
  bound: data.upper_bound ?? highest,
};
let shownCount = 0;         // The rarest so many are within the bound.
const selected = new Set();
let current = -1;           // The session that the tooltip and the keys are at.
const watchers = [];        // Called after every change of view, bound or selection,
const pointWatchers = [];   // and after every change at all.

function changed() {
  chart.batch(() => {
    chart.setScale("x", { min: view.from, max: view.to });
    chart.setScale("y", { min: view.low, max: view.high });
  });
  for (const watcher of watchers) watcher();
  pointed();
}

// Only the current session is another.
function pointed() {
  for (const watcher of pointWatchers) watcher();
}

const isShown = session => rank[session] < shownCount;

function setBound(bound) {
  view.bound = bound;
  shownCount = countUntil(count, place => scores[byScore[place]] > bound);
  for (const session of selected) if (!isShown(session)) selected.delete(session);
  if (current >= 0 && !isShown(current)) current = -1;
  showAllScores();
}

// What the chart may show of the scores: all within the bound.
const allScores = () => scoreRange(view.scale, lowest, shownCount ? scores[byScore[shownCount - 1]] : highest);

function showAllScores() {
  [view.low, view.high] = allScores();
}

// The range nearest to that from `from` to `to` that is no narrower than `narrowest`, and inside the one from `first` to `last`.
function fitted(from, to, narrowest, first, last) {
  const span = Math.min(Math.max(to - from, narrowest), last - first);
  const start = Math.min(Math.max((from + to - span) / 2, first), last - span);
  return [start, start + span];
}

function showScores(low, high) {
  const [bottom, top] = allScores();
  [view.low, view.high] = fitted(low, high, (top - bottom) / 1e4, bottom, top);
}

// Where the sessions are on the axis.
let heights = scores.map(place[view.scale]);

function setScale(scale) {
  view.scale = scale;
  heights = scores.map(place[scale]);
  showAllScores();
}

function showTime(from, to) {
  [view.from, view.to] = fitted(from, to, NARROWEST, stripFrom, stripTo);
}

function zoomTime(factor, around = (view.from + view.to) / 2) {
  showTime(around - (around - view.from) * factor, around + (view.to - around) * factor);
}

function zoomScore(factor, around) {
  showScores(around - (around - view.low) * factor, around + (view.high - around) * factor);
}

function reset() {
  showTime(firstTime, lastTime);
  showAllScores();
}

function inView(session) {
  return isShown(session) && times[session] >= view.from && times[session] <= view.to
    && heights[session] >= view.low && heights[session] <= view.high;
}

// The first session from a time on.
const firstAt = time => countUntil(count, session => times[session] >= time);

// ---- Drawing

const SHADES = 24;
let colours;

function readColours() {
  const style = getComputedStyle(document.documentElement);
  colours = Object.fromEntries(["card", "edge", "text", "muted", "accent", "grid", "bound", "common", "middle", "rare"]
    .map(name => [name, style.getPropertyValue("--" + name).trim()]));
  const channels = name => [1, 3, 5].map(at => parseInt(colours[name].slice(at, at + 2), 16));
  const [common, middle, rare] = ["common", "middle", "rare"].map(channels);
  colours.ring = channels("text");
  const mix = (a, b, part) => a.map((channel, n) => Math.round(channel + (b[n] - channel) * part));
  colours.shades = Array.from({ length: SHADES }, (_, n) => {
    const part = 2 * n / (SHADES - 1);
    return part < 1 ? mix(common, middle, part) : mix(middle, rare, part - 1);
  });
}

// How rare, whatever the bound or the scale in view.
const shadeOf = new Uint8Array(count);
{
  const scale = logPossible ? "log" : "linear";
  const common = place[scale](highest), rare = place[scale](lowest);
  for (let session = 0; session < count; session++) {
    const part = common > rare ? (common - place[scale](scores[session])) / (common - rare) : 1;
    shadeOf[session] = Math.round(part * (SHADES - 1));
  }
}

// How much of each pixel of a square a shape covers, up to 255; `inside` says how far inside it a distance from the middle is.
function coverOf(diameter, most, inside) {
  const side = Math.ceil(diameter) + 2, middle = (side - 1) / 2;
  const cover = Uint8Array.from({ length: side * side }, (_, n) => {
    const distance = Math.hypot(n % side - middle, Math.floor(n / side) - middle);
    return most * Math.min(Math.max(inside(distance) + .5, 0), 1);
  });
  return { side, cover };
}

const discOf = diameter => coverOf(diameter, 195, distance => diameter / 2 - distance);
const ringOf = (diameter, width) => coverOf(diameter, 255, distance => width / 2 - Math.abs(diameter / 2 - width / 2 - distance));

// Puts a dot over what is there. A canvas takes ten times as long for tens of thousands of them.
function stamp({ data: pixels, width, height }, { side, cover }, [red, green, blue], x, y) {
  const left = x - (side >> 1), top = y - (side >> 1);
  for (let row = Math.max(0, -top), rows = Math.min(side, height - top); row < rows; row++) {
    for (let column = Math.max(0, -left), columns = Math.min(side, width - left); column < columns; column++) {
      const over = cover[row * side + column];
      if (over === 0) continue;
      const at = 4 * ((top + row) * width + left + column);
      const both = over + pixels[at + 3] * (255 - over) / 255, part = over / both;
      pixels[at] += (red - pixels[at]) * part;
      pixels[at + 1] += (green - pixels[at + 1]) * part;
      pixels[at + 2] += (blue - pixels[at + 2]) * part;
      pixels[at + 3] = both;
    }
  }
}

// Calls `draw` for the sessions in a box of so many pixels, the rarest last; where several would cover each other wholly, for `most`.
let cells = new Uint8Array(0);

function eachDot(width, height, scales, most, draw, only) {
  const columns = Math.round(width) + 1, needed = columns * (Math.round(height) + 1);
  if (cells.length < needed) cells = new Uint8Array(needed); else cells.fill(0, 0, needed);
  const perTime = width / (scales.to - scales.from), perScore = height / (scales.high - scales.low);
  for (let n = shownCount - 1; n >= 0; n--) {
    const session = byScore[n];
    if (only && !only.has(session)) continue;
    const x = Math.round((times[session] - scales.from) * perTime);
    const y = Math.round((scales.high - heights[session]) * perScore);
    if (x >= 0 && x <= width && y >= 0 && y <= height && cells[y * columns + x]++ < most) draw(session, x, y);
  }
}

function drawDots(u, scales, diameter, rings) {
  const { left, top, width, height } = u.bbox;
  const layer = u.dotLayer ??= document.createElement("canvas");
  [layer.width, layer.height] = [width, height];
  const image = new ImageData(layer.width, layer.height);
  const disc = discOf(diameter * devicePixelRatio);
  eachDot(width, height, scales, 3, (session, x, y) => stamp(image, disc, colours.shades[shadeOf[session]], x, y));
  if (rings?.size) {
    const ring = ringOf((diameter + 6) * devicePixelRatio, 1.5 * devicePixelRatio);
    eachDot(width, height, scales, 1, (session, x, y) => stamp(image, ring, colours.ring, x, y), rings);
  }
  layer.getContext("2d").putImageData(image, 0, 0);
  u.ctx.drawImage(layer, left, top);
}

const dotSize = () => shownCount > 20000 ? 5 : shownCount > 2000 ? 6 : 8;

function drawChart(u) {
  const { ctx, bbox } = u;
  ctx.save();
  ctx.beginPath();
  ctx.rect(bbox.left, bbox.top, bbox.width, bbox.height);
  ctx.clip();
  drawBound(ctx, bbox, devicePixelRatio);
  drawDots(u, view, dotSize(), selected);
  ctx.restore();
}

function drawBound(ctx, bbox, ratio) {
  if (view.bound >= highest) return;
  const y = Math.round(bbox.top + (view.high - place[view.scale](view.bound)) / (view.high - view.low) * bbox.height);
  ctx.strokeStyle = colours.bound;
  ctx.lineWidth = ratio;
  ctx.setLineDash([5 * ratio, 4 * ratio]);
  ctx.beginPath();
  ctx.moveTo(bbox.left, y);
  ctx.lineTo(bbox.left + bbox.width, y);
  ctx.stroke();
  ctx.setLineDash([]);
}

const font = size => `${size}px system-ui, -apple-system, "Segoe UI", Roboto, sans-serif`;
const short = text => text.length > 60 ? text.slice(0, 59) + "…" : text;
const xLabel = visible(data.x_label) + " (UTC)";
const yLabel = short(visible(data.score_column));

const timeAxis = {
  scale: "x",
  font: font(12),
  labelFont: font(12),
  stroke: () => colours.muted,
  grid: { stroke: () => colours.grid, width: 1 },
  ticks: { stroke: () => colours.edge, width: 1, size: 5 },
  splits: (u, _, from, to) => timeTicks(from, to, u.bbox.width / devicePixelRatio).at,
  values: (u, at) => timeTicks(u.scales.x.min, u.scales.x.max, u.bbox.width / devicePixelRatio).texts.slice(0, at.length),
};
const scoreAxis = {
  ...timeAxis,
  scale: "y",
  size: 62,
  label: yLabel,
  labelSize: 22,
  splits: (_, __, low, high) => scoreTicks(view.scale, low, high).at,
  values: u => scoreTicks(view.scale, u.scales.y.min, u.scales.y.max).texts,
};
// The library draws axes and keeps scales; dots, mouse and keys are ours.
const plainScale = (from, to) => ({ time: false, auto: false, min: from, max: to, range: (_, min, max) => [min, max] });
const shared = {
  ms: 1,
  legend: { show: false },
  cursor: { show: false },
  select: { show: false },
  series: [{}, { paths: () => null, points: { show: false } }],
};
const chartOptions = {
  ...shared,
  padding: [10, 30, 0, 0],
  scales: { x: plainScale(view.from, view.to), y: plainScale(0, 1) },
  axes: [{ ...timeAxis, size: 44, label: xLabel, labelSize: 20 }, scoreAxis],
  hooks: { draw: [drawChart] },
};
let chart;

function startChart() {
  readColours();
  chart = new uPlot({ ...chartOptions, width: chartBox.clientWidth, height: chartBox.clientHeight }, [times, scores], chartBox);
  chart.over.append(element("box"), element("ring"), element("none-within"));
  const { over } = chart;
  over.addEventListener("wheel", onWheel, { passive: false });
  over.addEventListener("pointerdown", onDown);
  over.addEventListener("pointermove", onMove);
  over.addEventListener("pointerup", onUp);
  over.addEventListener("pointercancel", stopDrag);
  over.addEventListener("pointerleave", () => { if (!drag) leave(); });
  over.addEventListener("dblclick", () => { reset(); changed(); });
  chartBox.addEventListener("keydown", onKey);
  for (const input of document.getElementsByName("drag")) input.addEventListener("change", () => { chartBox.dataset.drag = input.value; });
  setBound(view.bound);
}

// ---- Where things are, in CSS pixels from the plot's corner

const plotWidth = () => chart.bbox.width / devicePixelRatio;
const plotHeight = () => chart.bbox.height / devicePixelRatio;

function position(session) {
  return {
    x: (times[session] - view.from) / (view.to - view.from) * plotWidth(),
    y: (view.high - heights[session]) / (view.high - view.low) * plotHeight(),
  };
}

const timeAt = x => view.from + x / plotWidth() * (view.to - view.from);
const heightAt = y => view.high - y / plotHeight() * (view.high - view.low);

const REACH = 14;

// The session nearest to a place, the rarest of several; none out of reach.
function nearest(x, y) {
  let best = -1, least = REACH * REACH;
  for (let session = firstAt(timeAt(x - REACH)), end = firstAt(timeAt(x + REACH)); session < end; session++) {
    if (!inView(session)) continue;
    const at = position(session);
    const distance = (at.x - x) ** 2 + (at.y - y) ** 2;
    if (distance < least || (distance === least && best >= 0 && rank[session] < rank[best])) [best, least] = [session, distance];
  }
  return best;
}

// All sessions whose dots nearly cover that of `session`.
function spot(session) {
  const { x, y } = position(session);
  const found = [];
  for (let other = firstAt(timeAt(x - 1.5)), end = firstAt(timeAt(x + 1.5)); other < end; other++) {
    if (inView(other) && Math.abs(position(other).y - y) <= 1.5) found.push(other);
  }
  return found.length ? found : [session];
}

function sessionsInView() {
  const found = [];
  for (let session = firstAt(view.from); session < count && times[session] <= view.to; session++) if (inView(session)) found.push(session);
  return found;
}

// ---- Mouse

let drag = null;

function placeOf(event) {
  const box = chart.over.getBoundingClientRect();
  return { x: event.clientX - box.left, y: event.clientY - box.top };
}

function onWheel(event) {
  event.preventDefault();
  const unit = event.deltaMode === 1 ? 16 : event.deltaMode === 2 ? 400 : 1;
  const at = placeOf(event);
  const turned = (event.deltaY || (event.shiftKey ? event.deltaX : 0)) * unit;
  const factor = Math.exp(Math.min(Math.max(turned, -300), 300) * .0015);
  if (event.shiftKey) zoomScore(factor, heightAt(at.y));
  else if (turned) zoomTime(factor, timeAt(at.x));
  if (!event.shiftKey && event.deltaX) pan(event.deltaX * unit);
  leave();
  changed();
}

function pan(pixels) {
  const time = pixels / plotWidth() * (view.to - view.from);
  showTime(view.from + time, view.to + time);
}

function onDown(event) {
  if (event.button !== 0) return;
  const adds = event.ctrlKey || event.metaKey;
  const chosen = document.querySelector("input[name=drag]:checked").value;
  const does = event.shiftKey ? "zoom" : adds ? "select" : chosen;
  drag = { ...placeOf(event), does, adds, moved: false, view: { ...view } };
  chart.over.setPointerCapture(event.pointerId);
}

function onMove(event) {
  const at = placeOf(event);
  if (!drag) return hover(at);
  if (!drag.moved && Math.hypot(at.x - drag.x, at.y - drag.y) < 4) return;
  if (!drag.moved) leave();
  drag.moved = true;
  if (drag.does === "pan") dragPan(at); else showBox(at);
}

function dragPan(at) {
  const { view: begun } = drag;
  chartBox.classList.add("dragging");
  const time = (drag.x - at.x) / plotWidth() * (begun.to - begun.from);
  showTime(begun.from + time, begun.to + time);
  const height = (at.y - drag.y) / plotHeight() * (begun.high - begun.low);
  showScores(begun.low + height, begun.high + height);
  changed();
}

function boxTo(at) {
  const within = (value, most) => Math.min(Math.max(value, 0), most);
  const x = within(at.x, plotWidth()), y = within(at.y, plotHeight());
  return { left: Math.min(x, drag.x), right: Math.max(x, drag.x), top: Math.min(y, drag.y), bottom: Math.max(y, drag.y) };
}

function showBox(at) {
  const { left, right, top, bottom } = boxTo(at);
  const box = element("box");
  box.hidden = false;
  Object.assign(box.style, { left: left + "px", top: top + "px", width: right - left + "px", height: bottom - top + "px" });
}

function onUp(event) {
  if (!drag) return;
  const at = placeOf(event);
  if (!drag.moved) click(at, drag.adds);
  else if (drag.does === "zoom") zoomToBox(boxTo(at));
  else if (drag.does === "select") selectBox(boxTo(at), drag.adds);
  stopDrag();
  changed();
}

function stopDrag() {
  drag = null;
  element("box").hidden = true;
  chartBox.classList.remove("dragging");
}

function click(at, adds) {
  const session = nearest(at.x, at.y);
  if (session < 0) return;
  current = session;
  const here = spot(session);
  const takesAway = adds && here.every(other => selected.has(other));
  if (!adds) selected.clear();
  for (const other of here) if (takesAway) selected.delete(other); else selected.add(other);
}

// A box that is hardly wider, or higher, than a line is meant for the other direction only.
function zoomToBox({ left, right, top, bottom }) {
  const [from, to, low, high] = [timeAt(left), timeAt(right), heightAt(bottom), heightAt(top)];
  if (right - left > 8) showTime(from, to);
  if (bottom - top > 8) showScores(low, high);
}

function selectBox({ left, right, top, bottom }, adds) {
  if (!adds) selected.clear();
  for (const session of sessionsInView()) {
    const { x, y } = position(session);
    if (x >= left && x <= right && y >= top && y <= bottom) selected.add(session);
  }
}

function hover(at) {
  const session = nearest(at.x, at.y);
  chartBox.classList.toggle("on-point", session >= 0);
  if (session === current) return;
  current = session;
  pointed();
}

function leave() {
  chartBox.classList.remove("on-point");
  if (current < 0) return;
  current = -1;
  pointed();
}

function showRing() {
  const ring = element("ring");
  ring.hidden = current < 0 || !inView(current);
  if (ring.hidden) return;
  const { x, y } = position(current);
  Object.assign(ring.style, { left: x + "px", top: y + "px" });
}

// ---- Keys

// Goes to a session, and takes the view along.
function goTo(session) {
  current = session;
  const time = times[session], y = heights[session];
  if (time < view.from || time > view.to) showTime(time - (view.to - view.from) / 2, time + (view.to - view.from) / 2);
  if (y < view.low || y > view.high) showAllScores();
  changed();
  say(`${timeText(session)}, ${visible(data.score_column)} ${scoreText(scores[session], 4)}, ${eventsOf(session).join(", then ")}. `
    + `Number ${rank[session] + 1} of ${count} from the rarest.`);
}

// The next session shown from place `at` of an order, in steps of 1 or -1.
function step(order, at, by) {
  for (let n = at + by; n >= 0 && n < count; n += by) if (isShown(order(n))) return goTo(order(n));
}

const inOrder = n => n, rarestFirst = n => byScore[n];

function toggleCurrent() {
  if (current < 0) return;
  if (!selected.delete(current)) selected.add(current);
  changed();
  say(selected.has(current) ? `Selected, ${many(selected.size, "session")} in the list` : "No longer selected");
}

function escape() {
  if (drag) {
    Object.assign(view, drag.view);
    stopDrag();
  } else if (current >= 0) current = -1;
  else selected.clear();
  changed();
}

const begin = () => current >= 0 ? current : firstAt(view.from) - 1;
const KEYS = {
  ArrowRight: () => step(inOrder, begin(), 1),
  ArrowLeft: () => step(inOrder, current >= 0 ? current : firstAt(view.to), -1),
  ArrowUp: () => step(rarestFirst, current >= 0 ? rank[current] : -1, 1),
  ArrowDown: () => current >= 0 ? step(rarestFirst, rank[current], -1) : step(rarestFirst, -1, 1),
  Home: () => step(inOrder, -1, 1),
  End: () => step(inOrder, count, -1),
  Enter: toggleCurrent,
  " ": toggleCurrent,
  Escape: escape,
  "+": () => { zoomTime(.7, current >= 0 ? times[current] : undefined); changed(); },
  "-": () => { zoomTime(1 / .7, current >= 0 ? times[current] : undefined); changed(); },
  0: () => { reset(); changed(); },
};
KEYS["="] = KEYS["+"];
KEYS["−"] = KEYS["_"] = KEYS["-"];
const WITH_SHIFT = {
  ArrowRight: () => { pan(plotWidth() / 5); changed(); },
  ArrowLeft: () => { pan(-plotWidth() / 5); changed(); },
};

function onKey(event) {
  if (event.ctrlKey || event.metaKey || event.altKey || event.target !== chartBox) return;
  const action = (event.shiftKey && WITH_SHIFT[event.key]) || KEYS[event.key];
  if (!action) return;
  event.preventDefault();
  action();
}

// For those who listen; the last of several quick ones counts.
function say(text) {
  element("live").textContent = text;
}
