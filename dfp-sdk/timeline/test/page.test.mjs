// The page in a real browser, on pages that the SDK wrote: `cargo run -p dfp-sdk --example timeline_pages -- DIRECTORY`.
//
//   TIMELINE_PAGES=DIRECTORY npm test         (CHROMIUM: another browser than /usr/bin/chromium)

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { after, before, test } from "node:test";
import { pathToFileURL } from "node:url";
import { chromium } from "playwright-core";

const pages = process.env.TIMELINE_PAGES;
const address = name => pathToFileURL(`${pages}/${name}.html`).href;
const ALL = ["sessions", "bound", "many", "hostile", "one", "moment", "zero", "negative", "nothing"];
let browser;

before(async () => {
  assert.ok(pages, "TIMELINE_PAGES says where the pages are");
  browser = await chromium.launch({
    executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium",
    args: ["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
      "--disable-component-update", "--disable-sync"],
  });
});
after(() => browser?.close());

// A page of its own profile, and everything it complained of or asked for.
async function open(t, name, options = {}) {
  const context = await browser.newContext({ viewport: { width: 1280, height: 900 }, colorScheme: "light", ...options });
  t.after(() => context.close());
  const page = await context.newPage();
  page.complaints = [];
  page.requests = [];
  page.on("console", message => page.complaints.push(message.text()));
  page.on("pageerror", error => page.complaints.push(error.message));
  page.on("dialog", dialog => { page.complaints.push("a dialog"); dialog.dismiss(); });
  page.on("request", request => page.requests.push(request.url()));
  await page.goto(address(name));
  return page;
}

const read = (page, id) => page.locator("#" + id).textContent();
const window = page => page.evaluate(() => ["from", "to"].map(id => Number(document.getElementById(id).getAttribute("aria-valuenow"))));
const span = ([from, to]) => to - from;
const plot = async page => page.locator("#chart .u-over").boundingBox();
// A dot where hardly anything is: mouse at parts of the plot's width and height.
async function mouse(page, x, y) {
  const box = await plot(page);
  await page.mouse.move(box.x + box.width * x, box.y + box.height * y);
}
async function drag(page, from, to, keys = []) {
  await mouse(page, ...from);
  for (const key of keys) await page.keyboard.down(key);
  await page.mouse.down();
  await mouse(page, (from[0] + to[0]) / 2, (from[1] + to[1]) / 2);
  await mouse(page, ...to);
  await page.mouse.up();
  for (const key of keys) await page.keyboard.up(key);
}
// Pixels of the dots' colours, which are far from grey, and the axes' are not.
const colouredPixels = (page, of = "#chart") => page.evaluate(of => {
  const canvas = document.querySelector(of + " canvas");
  const { data } = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
  let coloured = 0;
  for (let at = 0; at < data.length; at += 4) {
    const pixel = [data[at], data[at + 1], data[at + 2]];
    if (data[at + 3] > 100 && Math.max(...pixel) - Math.min(...pixel) > 60) coloured++;
  }
  return coloured;
}, of);

for (const name of ALL) {
  test(`${name}: asks for nothing and complains of nothing`, async t => {
    const page = await open(t, name);
    await page.waitForTimeout(100);
    assert.deepEqual(page.requests.filter(url => url !== address(name) && !url.startsWith("data:")), []);
    assert.deepEqual(page.complaints, []);
  });
}

test("the policy forbids what the page does not do", async t => {
  const page = await open(t, "sessions");
  const refused = await page.evaluate(async () => {
    const fetched = await fetch("http://127.0.0.1:9/").then(() => "fetched", () => "refused");
    const script = document.createElement("script");
    script.append("document.body.dataset.run = 1");
    try { document.body.append(script); } catch { /* refused even earlier */ }
    let markup = "refused";
    try { document.body.insertAdjacentHTML("beforeend", "<img src=x>"); markup = "taken"; } catch { /* as it should */ }
    return [fetched, document.body.dataset.run ?? "refused", markup];
  });
  assert.deepEqual(refused, ["refused", "refused", "refused"]);
  assert.ok(page.complaints.some(text => text.includes("Content Security Policy")), page.complaints.join("\n"));
});

test("sessions are drawn, in the chart and in the strip", async t => {
  const page = await open(t, "sessions");
  assert.ok(await colouredPixels(page) > 2000);
  assert.ok(await colouredPixels(page, "#strip") > 200);
  assert.match(await read(page, "summary"), /^274 of 400 sessions, 126 without a score · 2026-03-02/);
  assert.match(await page.locator("#chart").getAttribute("aria-label"), /^274 sessions by time and rarest_window3_likelihood, .* log scale$/);
  assert.equal(await page.locator("#rows tr").count(), 20);
});

test("a tooltip has the time, score, window and source columns", async t => {
  const page = await open(t, "one");
  await mouse(page, .5, .5);
  const tip = await page.locator("#tip").innerText();
  for (const text of ["2026-03-02 00:00:00.001", "2.1e-5", "New-Mailbox", "Set-Mailbox", "amara.lind@tarnbridge.example", "198.51.100.17", "number_events", "1 of 1"]) {
    assert.ok(tip.includes(text), `${text} in ${tip}`);
  }
  await mouse(page, .2, .2);
  assert.ok(await page.locator("#tip").isHidden());
});

test("one session, and several of one moment, have time around them", async t => {
  for (const name of ["one", "moment"]) assert.ok(span(await window(await open(t, name))) >= 120000);
});

test("a click lists all sessions of a spot", async t => {
  const page = await open(t, "moment");
  // Three of 1e-4 below, one of 5e-4 above, a tenth of a power of ten from the edges.
  const all = Math.log10(5) + .2;
  const [below, above] = [1 - .1 / all, .1 / all];
  await mouse(page, .5, below);
  assert.match(await page.locator("#tip").innerText(), /2 more sessions at this spot/);
  const click = () => page.mouse.down().then(() => page.mouse.up());
  await click();
  assert.equal(await read(page, "list-title"), "Selected: 3 sessions");
  await mouse(page, .5, above);
  await page.keyboard.down("Control");
  await click();
  assert.equal(await read(page, "list-title"), "Selected: 4 sessions");
  await click();
  await page.keyboard.up("Control");
  assert.equal(await read(page, "list-title"), "Selected: 3 sessions");
  await page.click("#select-view");
  assert.equal(await read(page, "list-title"), "Selected: 5 sessions");
});

test("the upper bound filters, inclusive", async t => {
  const page = await open(t, "sessions");
  const scores = JSON.parse(await read(page, "sessions")).scores;
  const within = bound => `${scores.filter(score => score <= bound).length} of 274 shown`;
  const coloured = await colouredPixels(page);
  for (const bound of [.001, Math.min(...scores), 1e-30]) {
    await page.fill("#bound", String(bound));
    await page.press("#bound", "Enter");
    assert.equal(await read(page, "bound-count"), within(bound));
  }
  assert.ok(await page.locator("#none-within").isVisible());
  assert.equal(await colouredPixels(page), 0);
  await page.click("#bound-all");
  assert.equal(await read(page, "bound-count"), "274 of 274 shown");
  assert.equal(await colouredPixels(page), coloured);
  await page.focus("#bound-slider");
  await page.keyboard.press("Home");
  assert.equal(await read(page, "bound-count"), "1 of 274 shown");
  await page.keyboard.press("ArrowRight");
  assert.equal(await read(page, "bound-count"), "2 of 274 shown");
});

test("a bound given to the SDK is where the page begins", async t => {
  const page = await open(t, "bound");
  assert.match(await read(page, "summary"), /^6 of 400 sessions, 268 above 0.001/);
  assert.equal(await page.inputValue("#bound"), "");
  assert.equal(await page.getAttribute("#bound", "placeholder"), "0.001");
});

test("wheel, drag, box, strip and buttons move the time in view", async t => {
  const page = await open(t, "sessions");
  const home = await window(page);
  await mouse(page, .25, .5);
  await page.mouse.wheel(0, -400);
  const near = await window(page);
  assert.ok(span(near) < span(home) * .8);
  // What was under the mouse still is.
  assert.ok(Math.abs((near[0] + span(near) / 4) - (home[0] + span(home) / 4)) < span(home) / 100);

  await drag(page, [.5, .5], [.3, .5]);
  const panned = await window(page);
  assert.ok(panned[0] > near[0] && Math.abs(span(panned) - span(near)) < 2);

  await drag(page, [.4, .2], [.6, .8], ["Shift"]);
  const boxed = await window(page);
  assert.ok(Math.abs(span(boxed) / span(panned) - .2) < .02);
  await page.dblclick("#chart .u-over", { position: { x: 5, y: 5 } });
  assert.deepEqual(await window(page), home);

  await page.locator("label", { hasText: "Zoom" }).first().click();
  await drag(page, [.1, .1], [.5, .9]);
  assert.ok(Math.abs(span(await window(page)) / span(home) - .4) < .02);
  await page.click("#reset");

  const handle = await page.locator("#to").boundingBox();
  await page.mouse.move(handle.x + 6, handle.y + 20);
  await page.mouse.down();
  await page.mouse.move(handle.x - 294, handle.y + 20, { steps: 3 });
  await page.mouse.up();
  const narrowed = await window(page);
  assert.ok(narrowed[0] === home[0] && span(narrowed) < span(home) * .8);
  await page.focus("#from");
  await page.keyboard.press("ArrowRight");
  assert.ok((await window(page))[0] > home[0]);

  await page.click("#reset");
  await page.click("#zoom-in");
  assert.ok(span(await window(page)) < span(home));
  for (let n = 0; n < 12; n++) await page.click("#zoom-out");
  assert.ok(span(await window(page)) >= span(home));
});

test("keys move between sessions, zoom, select and clear", async t => {
  const page = await open(t, "sessions");
  const data = JSON.parse(await read(page, "sessions"));
  const home = await window(page);
  await page.focus("#chart");
  await page.keyboard.press("ArrowUp");
  assert.match(await page.locator("#tip").innerText(), /1 of 274 from the rarest/);
  assert.ok((await page.locator("#tip").innerText()).includes(Math.min(...data.scores).toExponential()));
  await page.keyboard.press("ArrowUp");
  assert.match(await read(page, "live"), /Number 2 of 274 from the rarest/);
  await page.keyboard.press("Enter");
  assert.equal(await read(page, "list-title"), "Selected: 1 session");
  await page.keyboard.press("Home");
  assert.ok((await page.locator("#tip").innerText()).includes(new Date(Math.min(...data.milliseconds)).toISOString().slice(11, 23)));
  await page.keyboard.press("End");
  assert.ok((await page.locator("#tip").innerText()).includes(new Date(Math.max(...data.milliseconds)).toISOString().slice(11, 23)));
  await page.keyboard.press("+");
  await page.keyboard.press("+");
  assert.ok(span(await window(page)) < span(home) * .6);
  await page.keyboard.press("Shift+ArrowLeft");
  await page.keyboard.press("-");
  await page.keyboard.press("0");
  assert.deepEqual(await window(page), home);
  await page.keyboard.press("Escape");
  assert.ok(await page.locator("#tip").isHidden());
  assert.equal(await read(page, "list-title"), "Selected: 1 session");
  await page.keyboard.press("Escape");
  assert.match(await read(page, "list-title"), /in view$/);
  await page.keyboard.press("l");
  assert.match(await page.locator("#chart").getAttribute("aria-label"), /linear scale$/);
  await page.keyboard.press("?");
  assert.ok(await page.locator("#keys").isVisible());
  await page.keyboard.press("Escape");
  assert.ok(await page.locator("#keys").isHidden());
});

test("a box selects, the list sorts and copies", async t => {
  const page = await open(t, "sessions", { permissions: ["clipboard-read", "clipboard-write"] });
  await page.locator("label", { hasText: "Select" }).first().click();
  await drag(page, [.01, .4], [.99, .99]);
  const selected = Number((await read(page, "list-title")).match(/^Selected: (\d+) sessions$/)[1]);
  assert.ok(selected > 3 && selected < 30, String(selected));
  assert.equal(await page.locator("#rows tr").count(), selected);
  const column = n => page.locator(`#rows td:nth-child(${n})`).allInnerTexts();
  const byScore = (await column(2)).map(Number);
  assert.deepEqual(byScore, byScore.toSorted((a, b) => a - b));
  for (const direction of ["ascending", "descending"]) {
    await page.click("#head th:first-child button");
    assert.equal(await page.locator("#head th:first-child").getAttribute("aria-sort"), direction);
    const times = await column(1);
    assert.deepEqual(times, direction === "ascending" ? times.toSorted() : times.toSorted().reverse());
  }
  await page.click("#copy");
  await page.waitForFunction(() => document.getElementById("copy").textContent === "Copied");
  const lines = (await page.evaluate(() => navigator.clipboard.readText())).trimEnd().split("\n");
  assert.equal(lines[0], "first\trarest_window3_likelihood\trarest_window3\tuser\taddress\tnumber_events");
  assert.equal(lines.length, selected + 1);

  await page.click("#rows tr:first-child button");
  assert.ok(await page.locator("#tip").isVisible());
  await page.click("#clear");
  assert.equal(await page.locator("#rows tr").count(), 20);
});

test("light and dark follow the system until chosen", async t => {
  const page = await open(t, "sessions", { colorScheme: "dark" });
  const look = () => page.evaluate(() => [document.documentElement.dataset.theme, getComputedStyle(document.body).backgroundColor]);
  assert.deepEqual(await look(), ["dark", "rgb(12, 17, 24)"]);
  await page.emulateMedia({ colorScheme: "light" });
  await page.waitForFunction(() => document.documentElement.dataset.theme === "light");
  await page.click("#theme");
  assert.deepEqual(await look(), ["dark", "rgb(12, 17, 24)"]);
  await page.click("#theme");
  assert.deepEqual(await look(), ["light", "rgb(244, 246, 249)"]);
});

test("hostile texts stay texts", async t => {
  const page = await open(t, "hostile", { permissions: ["clipboard-read", "clipboard-write"] });
  const title = "</title></script><script>document.body.dataset.run=1</script><img src=x onerror=alert(1)>";
  assert.equal(await page.title(), title);
  assert.equal(await read(page, "title"), title);
  await page.focus("#chart");
  for (let n = 0; n < 9; n++) await page.keyboard.press("ArrowRight");
  await page.keyboard.press("Home");
  const tip = await page.locator("#tip").innerText();
  assert.ok(tip.includes(title), tip);
  const cells = (await page.locator("#rows td:nth-child(4)").allInnerTexts()).join("\n");
  for (const text of ["</script><!--<script>", "\\u2028line\\u2029line", "\\u202eexe.gpj", "\\u0000\\u001b[31m", "<a href="]) {
    assert.ok(cells.includes(text), `${text} in ${cells}`);
  }
  await page.keyboard.press("a");
  await page.keyboard.press("c");
  await page.waitForFunction(() => document.getElementById("copy").textContent === "Copied");
  assert.match(await page.evaluate(() => navigator.clipboard.readText()), /\t'=cmd\|/);
  const made = await page.evaluate(() => [document.body.dataset.run, document.querySelectorAll("img, a, body svg, main script").length]);
  assert.deepEqual(made, [undefined, 0]);
  assert.deepEqual(page.complaints, []);
  assert.deepEqual(page.requests.filter(url => url !== address("hostile") && !url.startsWith("data:")), []);
});

test("scores of zero have a place on the log scale; below zero there is none", async t => {
  const zero = await open(t, "zero");
  assert.match(await zero.locator("#chart").getAttribute("aria-label"), /scores from 0, log scale$/);
  await zero.focus("#chart");
  await zero.keyboard.press("ArrowUp");
  assert.ok(await zero.locator("#tip").isVisible());
  const negative = await open(t, "negative");
  assert.ok(await negative.locator("input[value=log]").isDisabled());
  assert.ok(await colouredPixels(negative) > 500);
});

test("nothing to show is said", async t => {
  const page = await open(t, "nothing");
  assert.equal(await read(page, "nothing"), "No data: none of 400 sessions can be shown, 274 above 1e-30, 126 without a score");
  assert.ok(await page.locator("main").isHidden());
  for (const id of ["save-png", "save-svg"]) assert.ok(await page.locator("#" + id).isHidden());
});

test("the chart can be saved", async t => {
  const page = await open(t, "hostile");
  const saved = async id => {
    const [download] = await Promise.all([page.waitForEvent("download"), page.click(id)]);
    return { name: download.suggestedFilename(), bytes: readFileSync(await download.path()) };
  };
  const png = await saved("#save-png");
  assert.equal(png.name, "timeline.png");
  assert.equal(png.bytes.subarray(1, 4).toString(), "PNG");
  const svg = await saved("#save-svg");
  assert.equal(svg.name, "timeline.svg");
  const text = svg.bytes.toString();
  assert.equal(text.match(/<circle/g).length, 9);
  assert.ok(!text.includes("<script") && text.includes("&lt;script"));
});

test("every control has a name", async t => {
  const page = await open(t, "sessions");
  const nameless = await page.evaluate(() => [...document.querySelectorAll("button, input, [role=slider], [tabindex]")]
    .filter(control => !(control.textContent.trim() || control.getAttribute("aria-label") || control.getAttribute("aria-labelledby") || control.labels?.length))
    .map(control => control.outerHTML));
  assert.deepEqual(nameless, []);
});

test("fifty thousand sessions", async t => {
  const begun = performance.now();
  const page = await open(t, "many");
  await page.waitForSelector("#rows tr");
  t.diagnostic(`loaded in ${Math.round(performance.now() - begun)} ms`);
  assert.match(await read(page, "summary"), /^50,185 of 75,000 sessions/);
  assert.ok(await colouredPixels(page) > 20000);
  const steps = 40;
  const home = await window(page);
  const ways = {
    panned: async () => {
      await page.click("#zoom-in");
      await mouse(page, .8, .3);
      await page.mouse.down();
      for (let n = 0; n < steps; n++) await mouse(page, .8 - n / 100, .3);
      await page.mouse.up();
    },
    zoomed: async () => { for (let n = 0; n < steps; n++) await page.mouse.wheel(0, n % 2 ? 200 : -200); },
    hovered: async () => { for (let n = 0; n < steps; n++) await mouse(page, .2 + n / 80, .3 + n / 100); },
    bounded: async () => {
      await page.focus("#bound-slider");
      for (let n = 0; n < steps; n++) await page.keyboard.press("PageDown");
      await page.click("#bound-all");
    },
    selected: () => page.click("#select-view"),
    "panned with all selected": async () => {
      await mouse(page, .3, .3);
      await page.mouse.down();
      for (let n = 0; n < steps; n++) await mouse(page, .3 + n / 100, .3);
      await page.mouse.up();
    },
  };
  for (const [what, way] of Object.entries(ways)) {
    const begun = performance.now();
    await way();
    await page.evaluate(() => new Promise(requestAnimationFrame));
    t.diagnostic(`${what}: ${((performance.now() - begun) / steps).toFixed(1)} ms a step`);
  }
  assert.notDeepEqual(await window(page), home);
  assert.deepEqual(page.complaints, []);
});
