// The list below the chart: what is selected or, while nothing is, the rarest in view.

const RAREST = 20, AT_ONCE = 200;
const sorting = { column: null, descending: false };
let listed = [], rowsShown = AT_ONCE;

const text = (name, of) => ({ name: visible(name), of, show: session => valueNode(of(session)), compare: compareTexts });
const columns = [
  { name: visible(data.time_column), of: timeText, show: pointButton, className: "time", compare: (a, b) => times[a] - times[b] },
  {
    name: visible(data.score_column), of: session => scoreText(scores[session]), show: session => node("span", "", scoreText(scores[session], 6)),
    className: "number", compare: (a, b) => scores[a] - scores[b],
  },
  { ...text(data.window_column, session => eventsOf(session).join(" → ")), show: chain },
  ...sources.filter(({ name }) => ![data.time_column, data.score_column, data.window_column].includes(name))
    .map(source => text(source.name, session => textOf(source, session))),
];

// Numbers as numbers, the rest as text; what is absent comes last.
const collator = new Intl.Collator("en", { numeric: true });

function compareTexts(a, b) {
  const [one, other] = [this.of(a), this.of(b)];
  if (one === null || other === null) return (one === null) - (other === null);
  const difference = one.trim() && other.trim() ? Number(one) - Number(other) : NaN;
  return Number.isNaN(difference) ? collator.compare(one, other) : difference;
}

function pointButton(session) {
  const button = node("button", "point", timeText(session));
  button.type = "button";
  button.title = "Show in the chart";
  button.addEventListener("click", () => { goTo(session); chartBox.focus(); });
  return button;
}

function chain(session) {
  const span = node("span", "event");
  eventsOf(session).forEach((event, n) => {
    if (n > 0) span.append(node("span", "then", "→"));
    span.append(node("span", "", event));
  });
  return span;
}

function startList() {
  for (const column of columns) {
    const cell = node("th"), button = node("button", "", column.name);
    cell.scope = "col";
    button.type = "button";
    button.addEventListener("click", () => sortBy(column));
    cell.append(button);
    element("head").append(cell);
    column.cell = cell;
  }
  element("more").addEventListener("click", () => { rowsShown += AT_ONCE * 5; fillRows(); });
  element("select-view").addEventListener("click", selectInView);
  element("clear").addEventListener("click", () => { selected.clear(); changed(); });
  element("copy").addEventListener("click", copyList);
  KEYS.a = selectInView;
  KEYS.c = copyList;
}

function sortBy(column) {
  sorting.descending = sorting.column === column && !sorting.descending;
  sorting.column = column;
  for (const other of columns) {
    if (other === column) other.cell.setAttribute("aria-sort", sorting.descending ? "descending" : "ascending");
    else other.cell.removeAttribute("aria-sort");
  }
  sortList();
  fillRows();
}

// Rarest first, unless a column was chosen.
function sortList() {
  const { column, descending } = sorting;
  listed.sort((a, b) => (column ? column.compare(a, b) * (descending ? -1 : 1) : 0) || rank[a] - rank[b]);
}

function selectInView() {
  for (const session of sessionsInView()) selected.add(session);
  changed();
}

// Called after every change; most leave the list as it is.
let listKey = "";

function showList() {
  if (selected.size) {
    listed = [...selected];
    element("list-title").textContent = `Selected: ${many(selected.size, "session")}`;
    element("list-note").textContent = "";
  } else {
    listed = [];
    let inSight = 0;
    for (let n = 0; n < shownCount; n++) {
      if (!inView(byScore[n])) continue;
      inSight++;
      if (listed.length < RAREST) listed.push(byScore[n]);
    }
    element("list-title").textContent = inSight > RAREST ? `Rarest ${RAREST} of ${many(inSight, "session")} in view` : `${many(inSight, "session")} in view`;
    element("list-note").textContent = "Click a session in the chart, or drag a box in Select mode, to list others.";
  }
  element("clear").disabled = selected.size === 0;
  element("copy").disabled = listed.length === 0;
  const key = `${selected.size > 0} ${listed.length} ${listed.join()}`;
  if (key === listKey) return;
  listKey = key;
  rowsShown = AT_ONCE;
  sortList();
  fillRows();
}

function fillRows() {
  const rows = listed.slice(0, rowsShown).map(session => {
    const row = node("tr");
    row.dataset.session = session;
    for (const column of columns) {
      const cell = node("td", column.className), inner = node("div");
      inner.append(column.show(session));
      cell.append(inner);
      row.append(cell);
    }
    return row;
  });
  element("rows").replaceChildren(...rows);
  const rest = listed.length - rows.length;
  element("more").hidden = rest === 0;
  element("more").textContent = `Show more: ${rest.toLocaleString("en")} to go`;
  markCurrent();
}

function markCurrent() {
  for (const row of element("rows").querySelectorAll(".current")) row.classList.remove("current");
  if (current >= 0) element("rows").querySelector(`[data-session="${current}"]`)?.classList.add("current");
}

// For a spreadsheet: one line a session, columns apart by tabs. Text that a spreadsheet would run as a formula gets a quote before it.
function listAsText() {
  const field = text => (text ?? "").replace(/[\t\r\n]+/g, " ").replace(/^\s*[=+\-@]/, "'$&");
  const cell = (column, session) => column.compare === compareTexts ? field(column.of(session)) : column.of(session);
  const lines = listed.map(session => columns.map(column => cell(column, session)).join("\t"));
  return [columns.map(column => field(column.name)).join("\t"), ...lines].join("\n") + "\n";
}

async function copyList() {
  if (listed.length === 0) return;
  const text = listAsText();
  let done = await navigator.clipboard?.writeText(text).then(() => true, () => false);
  if (!done) {
    const area = node("textarea", "unseen");
    area.value = text;
    document.body.append(area);
    area.select();
    done = document.execCommand("copy");
    area.remove();
  }
  const button = element("copy");
  button.textContent = done ? "Copied" : "Not copied";
  setTimeout(() => { button.textContent = "Copy"; }, 1500);
  say(done ? `Copied ${many(listed.length, "session")}` : "The browser does not allow copying");
}
