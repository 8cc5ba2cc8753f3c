// The strip of the whole time below the chart, with a window over the part in view.

const stripBox = element("strip"), windowBox = element("window");
const HANDLES = { from: element("from"), to: element("to") };
let strip;

function drawStrip(u) {
  const [low, high] = allScores();
  const margin = (high - low) * .04;
  drawDots(u, { from: stripFrom, to: stripTo, low: low - margin, high: high + margin }, shownCount > 2000 ? 2.5 : 4);
}

const stripOptions = {
  ...shared,
  padding: [2, 30, 0, 0],
  scales: { x: plainScale(stripFrom, stripTo), y: plainScale(0, 1) },
  axes: [{ ...timeAxis, size: 40 }, { ...scoreAxis, size: 84, label: undefined, labelSize: 0, splits: () => [], values: () => [] }],
  hooks: { draw: [drawStrip] },
};

function startStrip() {
  strip = new uPlot({ ...stripOptions, width: stripBox.clientWidth, height: stripBox.clientHeight }, [times, scores], stripBox);
  strip.over.append(windowBox);
  strip.over.addEventListener("pointerdown", grab);
  strip.over.addEventListener("pointermove", moveWindow);
  strip.over.addEventListener("pointerup", () => { held = null; });
  strip.over.addEventListener("pointercancel", () => { held = null; });
  for (const end of ["from", "to"]) HANDLES[end].addEventListener("keydown", event => moveHandle(event, end));
}

const stripTimeAt = x => stripFrom + x / strip.over.clientWidth * (stripTo - stripFrom);
let held = null;

// A handle, the window between them, or a new place for the window.
function grab(event) {
  if (event.button !== 0) return;
  const time = stripTimeAt(event.clientX - strip.over.getBoundingClientRect().left);
  const part = event.target === HANDLES.from ? "from" : event.target === HANDLES.to ? "to" : "both";
  if (part === "both" && event.target !== windowBox) {
    showTime(time - (view.to - view.from) / 2, time + (view.to - view.from) / 2);
    changed();
  }
  held = { part, time, from: view.from, to: view.to };
  strip.over.setPointerCapture(event.pointerId);
}

function moveWindow(event) {
  if (!held) return;
  const by = stripTimeAt(event.clientX - strip.over.getBoundingClientRect().left) - held.time;
  if (held.part === "both") showTime(held.from + by, held.to + by);
  else setEnd(held.part, held[held.part] + by);
  changed();
}

// One end moves, the other stays.
function setEnd(end, time) {
  const to = Math.min(Math.max(time, stripFrom), stripTo);
  if (end === "from") showTime(Math.min(to, view.to - NARROWEST), view.to);
  else showTime(view.from, Math.max(to, view.from + NARROWEST));
}

function moveHandle(event, end) {
  const by = { ArrowLeft: -1, ArrowDown: -1, ArrowRight: 1, ArrowUp: 1 }[event.key];
  if (!by) return;
  event.preventDefault();
  setEnd(end, view[end] + by * (stripTo - stripFrom) / 100);
  changed();
}

function showWindow() {
  const width = strip.over.clientWidth;
  const at = time => (time - stripFrom) / (stripTo - stripFrom) * width;
  const left = at(view.from), right = at(view.to);
  Object.assign(windowBox.style, { left: left + "px", width: Math.max(2, right - left) + "px", height: "100%" });
  for (const end of ["from", "to"]) {
    const set = (name, value) => HANDLES[end].setAttribute("aria-" + name, value);
    set("valuemin", Math.round(stripFrom));
    set("valuemax", Math.round(stripTo));
    set("valuenow", Math.round(view[end]));
    set("valuetext", new Date(view[end]).toISOString().slice(0, 19).replace("T", " "));
  }
}

// Only when what the strip shows changes: the bound, the scale or the look.
let stripDrawn = "";

function redrawStrip() {
  const now = `${view.bound} ${view.scale}`;
  if (now !== stripDrawn) strip.redraw(false, true);
  stripDrawn = now;
}
