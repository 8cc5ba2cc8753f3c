// What a tooltip says, beside the current session.

const tip = element("tip");

function node(name, className, text) {
  const made = document.createElement(name);
  if (className) made.className = className;
  if (text !== undefined) made.textContent = text;
  return made;
}

const LONGEST_WINDOW = 12;

function eventList(session) {
  const events = eventsOf(session);
  if (events.length === 0) return node("span", "absent", "empty");
  const list = node("ol");
  for (const event of events.slice(0, LONGEST_WINDOW)) list.append(node("li", "event", event));
  if (events.length > LONGEST_WINDOW) list.append(node("li", "absent", `and ${events.length - LONGEST_WINDOW} more`));
  return list;
}

function valueNode(text) {
  return text === null ? node("span", "absent", "none") : node("span", text === "" ? "absent" : "", text === "" ? "empty" : text);
}

// Each column once, however often it is asked for.
function tipFields(session) {
  const fields = new Map([
    [data.time_column, node("span", "", timeText(session))],
    [data.score_column, node("span", "number", scoreText(scores[session]))],
    [data.window_column, eventList(session)],
  ]);
  for (const source of sources) if (!fields.has(source.name)) fields.set(source.name, valueNode(textOf(source, session)));
  return fields;
}

function showTip() {
  tip.hidden = current < 0 || !inView(current);
  if (tip.hidden) return;
  const list = node("dl");
  for (const [name, value] of tipFields(current)) {
    const definition = node("dd");
    definition.append(value);
    list.append(node("dt", "", visible(name)), definition);
  }
  list.append(node("dt", "", "Rank"), node("dd", "", `${(rank[current] + 1).toLocaleString("en")} of ${count.toLocaleString("en")} from the rarest`));
  tip.replaceChildren(list);
  const others = spot(current).length - 1;
  if (others > 0) tip.append(node("p", "also", `${many(others, "more session")} at this spot: click to list all`));
  placeTip();
}

addEventListener("scroll", () => { if (!tip.hidden) placeTip(); }, true);

// To the right of the session or, where there is no room, to the left.
function placeTip() {
  const box = chart.over.getBoundingClientRect();
  const { x, y } = position(current);
  const { offsetWidth: width, offsetHeight: height } = tip;
  const right = box.left + x + 16;
  const left = right + width < innerWidth - 8 ? right : Math.max(8, box.left + x - 16 - width);
  const top = Math.min(Math.max(8, box.top + y - height / 3), innerHeight - height - 8);
  Object.assign(tip.style, { left: left + "px", top: Math.max(8, top) + "px" });
}
