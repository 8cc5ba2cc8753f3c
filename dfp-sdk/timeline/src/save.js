// The chart as a file.

const TITLE_HEIGHT = 44;

function save(blob, ending) {
  const link = node("a");
  link.href = URL.createObjectURL(blob);
  link.download = `timeline.${ending}`;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10000);
}

const caption = () => `${short(visible(data.title))}\n${many(shownCount, "session")}${view.bound < highest ? `, ${yLabel} up to ${scoreText(view.bound)}` : ""}`.split("\n");

function savePng() {
  const drawn = chart.ctx.canvas, ratio = devicePixelRatio;
  const canvas = node("canvas");
  canvas.width = drawn.width;
  canvas.height = drawn.height + Math.round(TITLE_HEIGHT * ratio);
  const context = canvas.getContext("2d");
  context.fillStyle = colours.card;
  context.fillRect(0, 0, canvas.width, canvas.height);
  const [title, line] = caption();
  context.fillStyle = colours.text;
  context.font = "600 " + font(16 * ratio);
  context.fillText(title, 16 * ratio, 20 * ratio);
  context.fillStyle = colours.muted;
  context.font = font(12 * ratio);
  context.fillText(line, 16 * ratio, 38 * ratio);
  context.drawImage(drawn, 0, Math.round(TITLE_HEIGHT * ratio));
  canvas.toBlob(blob => save(blob, "png"), "image/png");
}

const SVG = "http://www.w3.org/2000/svg";

function svgNode(parent, name, attributes, text) {
  const made = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  if (text !== undefined) made.textContent = text;
  parent.append(made);
  return made;
}

function chartAsSvg() {
  const ratio = devicePixelRatio;
  const box = Object.fromEntries(Object.entries(chart.bbox).map(([side, pixels]) => [side, pixels / ratio]));
  box.top += TITLE_HEIGHT;
  const { left, top, width, height } = box;
  const right = left + width, bottom = top + height;
  const size = { width: chart.width, height: chart.height + TITLE_HEIGHT };
  const root = document.createElementNS(SVG, "svg");
  const { width: w, height: h } = size;
  for (const [key, value] of Object.entries({ ...size, viewBox: `0 0 ${w} ${h}`, "font-family": "system-ui, sans-serif", "font-size": 12 })) root.setAttribute(key, value);
  svgNode(root, "rect", { ...size, fill: colours.card });
  const [title, line] = caption();
  svgNode(root, "text", { x: 16, y: 20, fill: colours.text, "font-size": 16, "font-weight": 600 }, title);
  svgNode(root, "text", { x: 16, y: 38, fill: colours.muted }, line);

  const x = time => left + (time - view.from) / (view.to - view.from) * width;
  const y = at => top + (view.high - at) / (view.high - view.low) * height;
  const axes = svgNode(root, "g", { fill: colours.muted });
  const grid = (x1, y1, x2, y2) => svgNode(axes, "line", { x1, y1, x2, y2, stroke: colours.grid });
  const score = scoreTicks(view.scale, view.low, view.high);
  score.at.forEach((at, n) => {
    grid(left, y(at), right, y(at));
    svgNode(axes, "text", { x: left - 10, y: y(at) + 4, "text-anchor": "end" }, score.texts[n]);
  });
  const time = timeTicks(view.from, view.to, width);
  time.at.forEach((at, n) => {
    grid(x(at), top, x(at), bottom);
    time.texts[n].split("\n").forEach((text, row) => svgNode(axes, "text", { x: x(at), y: bottom + 18 + 14 * row, "text-anchor": "middle" }, text));
  });
  svgNode(axes, "text", { x: left + width / 2, y: bottom + 52, "text-anchor": "middle" }, xLabel);
  svgNode(axes, "text", { transform: `translate(14 ${top + height / 2}) rotate(-90)`, "text-anchor": "middle" }, yLabel);

  if (view.bound < highest) {
    const at = y(place[view.scale](view.bound));
    if (at >= top && at <= bottom) svgNode(root, "line", { x1: left, y1: at, x2: right, y2: at, stroke: colours.bound, "stroke-dasharray": "5 4" });
  }
  const dots = svgNode(root, "g", { "fill-opacity": .75 });
  eachDot(width, height, view, 3, (session, cx, cy) => {
    svgNode(dots, "circle", { cx: left + cx, cy: top + cy, r: dotSize() / 2, fill: `rgb(${colours.shades[shadeOf[session]]})` });
  });
  const rings = svgNode(root, "g", { fill: "none", stroke: colours.text, "stroke-width": 1.5 });
  eachDot(width, height, view, 1, (_, cx, cy) => svgNode(rings, "circle", { cx: left + cx, cy: top + cy, r: dotSize() / 2 + 2 }), selected);
  return new XMLSerializer().serializeToString(root);
}

const saveSvg = () => save(new Blob([chartAsSvg()], { type: "image/svg+xml" }), "svg");
