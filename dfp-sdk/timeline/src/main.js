// Starts the page and joins its controls to the chart.

document.title = visible(data.title);
element("title").textContent = visible(data.title);
const boundInput = element("bound"), boundSlider = element("bound-slider");

function startControls() {
  const on = (id, action) => element(id).addEventListener("click", () => { action(); changed(); });
  on("zoom-in", () => zoomTime(.7));
  on("zoom-out", () => zoomTime(1 / .7));
  on("reset", reset);
  on("bound-all", () => setBound(highest));
  element("save-png").addEventListener("click", savePng);
  element("save-svg").addEventListener("click", saveSvg);
  element("help").addEventListener("click", showKeys);
  KEYS["?"] = showKeys;

  if (data.upper_bound !== null) boundInput.placeholder = scoreText(data.upper_bound);
  boundSlider.max = levels.length - 1;
  boundSlider.addEventListener("input", () => { setBound(levels[boundSlider.value]); changed(); });
  boundInput.addEventListener("change", () => {
    setBound(boundInput.value.trim() === "" || Number.isNaN(boundInput.valueAsNumber) ? highest : boundInput.valueAsNumber);
    changed();
  });

  for (const input of document.getElementsByName("scale")) {
    input.checked = input.value === view.scale;
    if (input.value === "log" && !logPossible) {
      input.disabled = true;
      input.parentElement.title = "Scores below 0 have no logarithm";
    }
    input.addEventListener("change", () => { setScale(input.value); changed(); });
  }
  KEYS.l = () => {
    const other = [...document.getElementsByName("scale")].find(input => !input.checked && !input.disabled);
    other?.click();
  };
}

const showKeys = () => element("keys").showModal();

function showBound() {
  if (document.activeElement !== boundInput || Number(boundInput.value) !== view.bound) boundInput.value = view.bound < highest ? scoreText(view.bound) : "";
  const level = Math.max(0, countUntil(levels.length, level => levels[level] > view.bound) - 1);
  boundSlider.value = level;
  boundSlider.setAttribute("aria-valuetext", scoreText(levels[level], 4));
  element("bound-count").textContent = `${shownCount.toLocaleString("en")} of ${count.toLocaleString("en")} shown`;
  element("bound-all").disabled = view.bound >= highest;
  element("none-within").hidden = shownCount > 0;
  element("none-within").textContent = `No session has a score of ${scoreText(view.bound)} or less.`;
}

function describeChart() {
  const date = time => new Date(time).toISOString().slice(0, 16).replace("T", " ");
  const scores = shownCount ? `, scores from ${scoreText(lowest, 3)}, ${view.scale} scale` : "";
  chartBox.setAttribute("aria-label", `${many(shownCount, "session")} by time and ${yLabel}, ${date(view.from)} to ${date(view.to)} UTC${scores}`);
}

// ---- Light and dark: as the system says, until the button says otherwise

const systemDark = matchMedia("(prefers-color-scheme: dark)");
let chosenTheme = null;

function applyTheme() {
  const theme = chosenTheme ?? (systemDark.matches ? "dark" : "light");
  document.documentElement.dataset.theme = theme;
  element("theme").textContent = theme === "dark" ? "Light" : "Dark";
  if (!chart) return;
  readColours();
  chart.redraw(false, true);
  strip.redraw(false, true);
}

systemDark.addEventListener("change", applyTheme);
element("theme").addEventListener("click", () => {
  chosenTheme = document.documentElement.dataset.theme === "dark" ? "light" : "dark";
  applyTheme();
});

function resize() {
  chart.setSize({ width: chartBox.clientWidth, height: chartBox.clientHeight });
  strip.setSize({ width: stripBox.clientWidth, height: stripBox.clientHeight });
  changed();
}

applyTheme();
if (count === 0) {
  element("nothing").textContent = visible(data.summary);
  element("nothing").hidden = false;
} else {
  const day = session => timeText(session).slice(0, 16);
  element("summary").textContent = `${visible(data.summary)} · ${day(0)} to ${day(count - 1)} UTC`;
  element("main").hidden = element("actions").hidden = false;
  startChart();
  startStrip();
  startList();
  startControls();
  watchers.push(showWindow, redrawStrip, showBound, describeChart, showList);
  pointWatchers.push(showTip, showRing, markCurrent);
  changed();
  new ResizeObserver(resize).observe(chartBox);
}
