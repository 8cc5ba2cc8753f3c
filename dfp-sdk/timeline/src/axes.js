// Scales, ticks and their texts.

const SECOND = 1e3, MINUTE = 60 * SECOND, HOUR = 60 * MINUTE, DAY = 24 * HOUR, MONTH = 30 * DAY, YEAR = 365 * DAY;
const TIME_STEPS = [
  1, 2, 5, 10, 20, 50, 100, 200, 500,
  ...[1, 2, 5, 10, 15, 30].map(n => n * SECOND), ...[1, 2, 5, 10, 15, 30].map(n => n * MINUTE),
  ...[1, 2, 3, 6, 12].map(n => n * HOUR), ...[1, 2, 4, 7, 14].map(n => n * DAY),
  ...[1, 2, 3, 6].map(n => n * MONTH), ...[1, 2, 5, 10, 20, 50, 100].map(n => n * YEAR),
];
const NARROWEST = 10;

function timeTicks(from, to, width) {
  const room = Math.max(2, width / 105);
  const step = TIME_STEPS.find(step => (to - from) / step <= room) ?? TIME_STEPS.at(-1);
  const at = step < MONTH ? everyStep(from, to, step) : everyMonths(from, to, Math.round(step / (step < YEAR ? MONTH : YEAR / 12)));
  return { at, texts: timeTexts(at, step) };
}

function everyStep(from, to, step) {
  const ticks = [];
  for (let n = Math.ceil(from / step); n * step <= to; n++) ticks.push(n * step);
  return ticks;
}

function everyMonths(from, to, months) {
  const ticks = [];
  const first = new Date(from).getUTCFullYear() * 12 + new Date(from).getUTCMonth();
  for (let n = Math.ceil(first / months) * months; ; n += months) {
    const tick = new Date(0);
    tick.setUTCFullYear(Math.floor(n / 12), n % 12, 1);
    if (tick > to) return ticks;
    if (tick >= from) ticks.push(tick.getTime());
  }
}

// What changes from tick to tick; below it, what stays, where it begins.
function timeTexts(ticks, step) {
  let before = "";
  return ticks.map(tick => {
    const [date, clock] = new Date(tick).toISOString().slice(0, -1).split("T");
    const dash = date.lastIndexOf("-", date.lastIndexOf("-") - 1);
    const [fine, coarse] = step >= YEAR ? [date.slice(0, dash), ""]
      : step >= DAY ? [step >= MONTH ? date.slice(0, -3) : date.slice(dash + 1), step >= MONTH ? "" : date.slice(0, dash)]
      : [clock.slice(0, step >= MINUTE ? 5 : step >= SECOND ? 8 : 12), date];
    const text = coarse !== before ? `${fine}\n${coarse}` : fine;
    before = coarse;
    return text;
  });
}

// The vertical axis counts in score, or in its logarithm; on that, scores of 0 have a place of their own, below all others.
const lowest = count ? levels[0] : 0, highest = count ? levels.at(-1) : 0;
const smallest = levels.find(score => score > 0);
const logPossible = lowest >= 0 && smallest !== undefined;
const zeroPlace = logPossible ? Math.floor(Math.log10(smallest)) - 1 : 0;

const place = {
  log: score => score > 0 ? Math.log10(score) : zeroPlace,
  linear: score => score,
};

// What to show of the scores from `low` to `high`, both on the axis.
function scoreRange(scale, low, high) {
  const from = place[scale](low), to = place[scale](high);
  if (scale === "log") {
    const margin = Math.max(.06 * (to - from), from === to ? .5 : .1);
    return [from - margin, to + margin];
  }
  const base = lowest >= 0 ? 0 : from;
  const margin = .06 * (to - base) || .1 * Math.abs(to) || .5;
  return [base - margin, to + margin];
}

function scoreTicks(scale, from, to) {
  const ticks = scale === "linear" ? niceTicks(from, to)
    : to - from < 1.2 ? niceTicks(10 ** from, 10 ** to).filter(score => score > 0)
    : powerTicks(from, to);
  const zero = scale === "log" && lowest === 0 && from < zeroPlace + .5;
  const kept = zero ? ticks.filter(score => place.log(score) > zeroPlace + .5) : ticks;
  const all = zero ? [0, ...kept] : kept;
  return { at: all.map(place[scale]), texts: all.map(score => scoreText(score, 6)) };
}

function niceTicks(from, to) {
  const rough = (to - from) / 6;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 5, 10].find(n => n * power >= rough) * power;
  const ticks = [];
  for (let n = Math.ceil(from / step); n * step <= to; n++) ticks.push(Number((n * step).toPrecision(10)));
  return ticks;
}

function powerTicks(from, to) {
  const every = Math.ceil((to - from) / 8);
  const within = to - from < 3 ? [1, 2, 5] : [1];
  const ticks = [];
  for (let power = Math.floor(from / every) * every; power <= to; power += every) {
    for (const n of within) {
      const score = Number(`${n}e${power}`);
      if (Math.log10(score) >= from && Math.log10(score) <= to) ticks.push(score);
    }
  }
  return ticks;
}
