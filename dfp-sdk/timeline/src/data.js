// The sessions, in order of time. Everywhere below, a session is its number in this order.

const data = JSON.parse(document.getElementById("sessions").textContent);
const count = data.scores.length;

const { milliseconds: whole, nanoseconds: beyond } = data;
const byTime = Uint32Array.from({ length: count }, (_, row) => row)
  .sort((a, b) => whole[a] - whole[b] || (beyond ? beyond[a] - beyond[b] : 0) || a - b);
const inTime = column => byTime.length === 0 ? [] : Array.from(byTime, row => column[row]);

const milliseconds = Float64Array.from(inTime(whole));
const nanoseconds = beyond && Uint32Array.from(inTime(beyond));
const times = nanoseconds ? milliseconds.map((time, session) => time + nanoseconds[session] / 1e6) : milliseconds;
const scores = Float64Array.from(inTime(data.scores));
const windowOf = Uint32Array.from(inTime(data.window_of));
const sources = data.source_columns.map((name, column) => ({ name, numbers: inTime(data.sources[column]) }));

// Sessions from the rarest up, and the place of each among them.
const byScore = Uint32Array.from({ length: count }, (_, session) => session).sort((a, b) => scores[a] - scores[b] || a - b);
const rank = new Uint32Array(count);
byScore.forEach((session, place) => { rank[session] = place; });
// The different scores, ascending: the steps of the bound's slider.
const levels = Float64Array.from(byScore, session => scores[session]).filter((score, place, all) => place === 0 || score !== all[place - 1]);

// How many of 0 .. `length` come before what holds from some point on.
function countUntil(length, holds) {
  let low = 0, high = length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (holds(middle)) high = middle; else low = middle + 1;
  }
  return low;
}

const wholeSeconds = !nanoseconds && milliseconds.every(time => time % 1000 === 0);

// Controls, zero-width and direction-changing characters would be invisible or rearrange what stands beside them: shown as escapes.
const UNSEEN = /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u00ad\u061c\u180e\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb]/g;

function visible(text) {
  return text.replace(UNSEEN, c => "\\u" + c.charCodeAt(0).toString(16).padStart(4, "0"));
}

function textOf(source, session) {
  const number = source.numbers[session];
  return number === null ? null : visible(data.texts[number]);
}

function eventsOf(session) {
  return data.windows[windowOf[session]].map(number => visible(data.texts[number]));
}

// Year to second, and as much of the fraction as any session has.
function timeText(session) {
  const text = new Date(milliseconds[session]).toISOString().replace("T", " ").replace("Z", "");
  if (wholeSeconds) return text.slice(0, -4);
  return nanoseconds ? text + String(nanoseconds[session]).padStart(6, "0") : text;
}

// A number in at most `digits` significant digits, all of them without.
function scoreText(score, digits) {
  const rounded = digits ? Number(score.toPrecision(digits)) : score;
  const size = Math.abs(rounded);
  return size > 0 && (size < 1e-4 || size >= 1e7) ? rounded.toExponential() : String(rounded);
}

const many = (number, what) => `${number.toLocaleString("en")} ${what}${number === 1 ? "" : "s"}`;
