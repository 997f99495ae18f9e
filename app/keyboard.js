// The review queue in the browser. What is shown follows from the server's snapshot and the actions that it has not
// acknowledged yet, so no key waits for the server and none is lost: actions stay in sessionStorage until acknowledged.
// Text of data, judges and people goes in by textContent alone.

const KEYS = {
  1: ["yes", "Relevant", "answer and go on"],
  2: ["no", "Not relevant", "answer and go on"],
  3: ["unsure", "Can't tell", "answer and go on"], s: ["skip", "Skip", "put it at the end of this session"],
  f: ["flag", "Flag", "keep as “can't tell”, to be looked at again"],
  z: ["undo", "Undo", "take your newest action back, also after a reload"], y: ["redo", "Redo", "do again what was taken back"],
  n: ["note", "Comment", "write a comment, Enter to come back"],
  ArrowLeft: ["previous", "Previous", "what you decided before (also K)"], ArrowRight: ["next", "Next", "the next pair, undecided (also J)"],
  b: ["blind", "Blind", "hide or show the judge and others"], "?": ["help", "Keys", "this list"],
};
const OF_A_PAIR = ["yes", "no", "unsure", "skip", "flag", "note"]; // what needs a pair to be done to
const SIGNS = { ArrowLeft: "←", ArrowRight: "→" };
const ALSO = { k: "previous", j: "next" };
const FIRST_REASON = 4; // the key of the first reason
const RESEND_MS = 4000;
const TYPING_MS = 10000;
const views = new WeakMap();

// The pair about which a comment is being typed, and when its last letter came. The box may be drawn anew in the middle of a
// word, and a letter that went astray would be a decision.
let typed = null;
const commenting = () => typed && Date.now() - typed.at < TYPING_MS;
document.addEventListener("pointerdown", (event) => { if (!event.composedPath()[0].classList?.contains("comment")) typed = null; }, true);

const kept = (scope) => { try { return JSON.parse(sessionStorage.getItem(`winnow:${scope}`)) || {}; } catch { return {}; } };
const keep = (scope, value) => { try { sessionStorage.setItem(`winnow:${scope}`, JSON.stringify(value)); } catch { /* full, or off */ } };
const random = () => Array.from(crypto.getRandomValues(new Uint8Array(8)), (byte) => byte.toString(16).padStart(2, "0")).join("");

function element(tag, attributes = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith("on")) made.addEventListener(name.slice(2), value);
    else if (value !== null && value !== false) made.setAttribute(name, value === true ? "" : value);
  }
  made.append(...children.filter((child) => child !== null && child !== undefined));
  return made;
}

class Review {
  constructor(parent) {
    this.parent = parent;
    this.client = random();
    this.seq = 0;
    this.root = element("div", { class: "review" });
    this.onKey = (event) => this.key(event);
    document.addEventListener("keydown", this.onKey, true); // before a closed select box takes the key for a search
    this.timer = setInterval(() => this.flush(), 500);
  }

  close() {
    document.removeEventListener("keydown", this.onKey, true);
    clearInterval(this.timer);
  }

  receive(data) {
    if (!this.parent.contains(this.root)) this.parent.append(this.root);
    if (!this.data || this.data.scope !== data.scope) this.adopt(data.scope);
    if (this.order !== data.order && !commenting()) this.focus = null; // another order is worked through from its first pair
    this.order = data.order;
    this.data = data;
    this.skipped = data.skipped;
    const acknowledged = data.acks[this.client] || 0;
    this.pending = this.pending.filter((entry) => entry.seq > acknowledged);
    if (this.flight && acknowledged >= this.flight.seq) this.flight = null;
    this.save();
    this.draw();
    this.flush();
  }

  // What another life of this page has left behind is sent again; tokens tell the server what it has. Its skips are known to
  // that life's session alone, so they are said again, too.
  adopt(scope) {
    const { pending = [], skipped = [], order = null, focus = null, drafts = {}, shown = [] } = kept(scope);
    const again = [...skipped.map((id) => ({ do: "skip", id, token: "" })), ...pending].map((entry) => ({ ...entry, seq: ++this.seq }));
    Object.assign(this, { order, focus, drafts, flight: null, shown: new Set(shown), pending: again });
  }

  flush() {
    if (!this.data || !this.pending.length) return;
    if (this.flight && Date.now() - this.flight.at < RESEND_MS) return;
    this.flight = { seq: this.pending.at(-1).seq, at: Date.now() };
    this.send("log", { scope: this.data.scope, client: this.client, at: this.flight.at, entries: this.pending });
  }

  // The name that stands in the sidebar when the key is pressed: the server may still be on its way with the one before.
  who() {
    return document.querySelector(`.st-key-${this.data.name} input`)?.value.trim() || this.data.who;
  }

  log(entry) {
    this.pending.push({ seq: ++this.seq, token: `${this.client}-${this.seq}`, who: this.who(), ...entry });
  }

  save() {
    keep(this.data.scope, { pending: this.pending, skipped: this.skipped, order: this.order, focus: this.focus, drafts: this.drafts, shown: [...this.shown].slice(-2000) });
  }

  // The snapshot with the pending actions on top.
  state() {
    const { queue, undo, redo, blind, left } = this.data;
    const now = { queue: [...queue], undo: [...undo], redo: [...redo], blind, left, mine: {}, given: {} };
    for (const entry of this.pending) this.step(now, entry);
    now.path = [...new Set([...now.undo.map((one) => one.id), ...now.queue])].filter((id) => this.data.items[id]);
    if (!now.path.includes(this.focus)) this.focus = now.queue[0] ?? null;
    return now;
  }

  step(now, { do: what, id, token, target, on, note, reason }) {
    const without = (wanted) => {
      const length = now.queue.length;
      now.queue = now.queue.filter((one) => one !== wanted);
      now.left -= length - now.queue.length;
    };
    if (what === "blind") now.blind = on;
    else if (what === "skip") {
      if (!now.queue.includes(id)) return; // it is decided, or comes so late that this browser does not hold it
      const whole = now.left === now.queue.length;
      without(id);
      now.left += 1;
      if (whole) now.queue.push(id);
    } else if (what === "undo") {
      const at = target ? now.undo.findIndex((one) => one.batch === target) : -1;
      if (at < 0) return;
      const [one] = now.undo.splice(at, 1);
      now.redo.push(one);
      now.mine[one.id] = null;
      if (one.n === 1 && !now.queue.includes(one.id)) { now.queue.unshift(one.id); now.left += 1; }
    } else if (what === "redo") {
      const one = now.redo.pop();
      if (!one) return;
      now.undo.push(one);
      now.mine[one.id] = one.do;
      without(one.id);
    } else {
      without(id);
      now.undo.push({ batch: token, id, n: 1, do: what });
      now.redo = [];
      now.mine[id] = what;
      now.given[id] = { note, reason };
    }
  }

  // Comment and reason of a pair: what is being chosen, over what went with the newest answer, even if that was taken back.
  words(now, id) {
    const item = this.data.items[id] || {};
    const answer = now.given[id] || (item.mine ? item : [...now.undo, ...now.redo].findLast((one) => one.id === id)) || {};
    return { note: answer.note || "", reason: answer.reason || "", ...this.drafts[id] };
  }

  act(what) {
    if (!this.data || !this.data.who) return;
    const now = this.state();
    const id = this.focus;
    const at = now.queue.indexOf(id);
    const following = at < 0 ? now.queue[0] : now.queue[at + 1] ?? now.queue[0];
    const item = this.data.items[id];
    if (["yes", "no", "unsure", "flag"].includes(what)) {
      if (!item) return;
      const { note, reason } = this.words(now, id);
      const saw = this.shown.has(id);
      this.log({ do: what, id, note, reason, saw, seen: item.seen, settles: item.settles });
      delete this.drafts[id];
      this.focus = following === id ? null : following ?? null;
      this.said = `${what === "flag" ? "Flagged" : this.data.answers[what]}: ${item.title}`;
    } else if (what === "skip" && item && at >= 0) {
      this.log({ do: "skip", id });
      this.focus = following;
      this.said = `Skipped: ${item.title}`;
    } else if (what === "undo") {
      const one = now.undo.at(-1);
      if (!one) return void (this.said = "There is nothing to undo.");
      this.log({ do: "undo", target: one.batch });
      if (this.data.items[one.id]) this.focus = one.id;
      this.said = one.n > 1 ? `${one.n} decisions of one action are taken back.` : "Taken back.";
    } else if (what === "redo") {
      const one = now.redo.at(-1);
      if (!one) return void (this.said = "There is nothing to redo.");
      this.log({ do: "redo" });
      if (this.focus === one.id) this.focus = null;
      this.said = "Done again.";
    } else if (what === "blind") this.log({ do: "blind", on: !now.blind });
    else if (what === "previous" || what === "next") {
      const to = now.path[now.path.indexOf(id) + (what === "next" ? 1 : -1)];
      if (to !== undefined) this.focus = to;
    } else if (what === "note") return this.root.querySelector(".comment")?.focus();
    else if (what === "help") this.help = !this.help;
    this.save();
    this.draw();
    this.flush();
  }

  draft(change) {
    if (this.focus === null) return;
    this.drafts[this.focus] = { ...this.drafts[this.focus], ...change };
    this.save();
  }

  key(event) {
    if (!this.root.isConnected) return this.close();
    const target = event.composedPath()[0];
    const closed = target.matches?.("[role=combobox][aria-expanded=false]");
    if (!closed && target.matches?.("input:not([type=checkbox], [type=radio]), textarea, select, [contenteditable=true]")) {
      const own = target.classList.contains("comment");
      if (own && ["Enter", "Escape"].includes(event.key)) {
        typed = null;
        target.blur();
      }
      else if (!own && event.key === "Enter" && target.matches("input")) target.blur(); // which commits; the next key is one of ours
      return;
    }
    if (commenting()) {
      if (["Enter", "Escape"].includes(event.key)) typed = null;
      event.preventDefault();
      return event.stopPropagation();
    }
    const letter = event.key.length === 1 ? event.key.toLowerCase() : event.key;
    if (document.querySelector("[role=dialog]") || event.altKey || event.repeat) return;
    if ((event.ctrlKey || event.metaKey) && letter !== "z") return;
    const number = Number(letter) - FIRST_REASON;
    const what = letter === "z" && event.shiftKey ? "redo" : ALSO[letter] ?? KEYS[letter]?.[0];
    if (this.help && event.key === "Escape") this.help = false;
    else if (what) this.act(what);
    else if (this.data?.reasons[number]) this.toggle(this.data.reasons[number][0]);
    else return;
    event.preventDefault();
    event.stopPropagation();
    if (closed) target.blur();
    this.draw();
  }

  typing(box) {
    typed = { id: this.focus, at: Date.now() };
    this.draft({ note: box.value });
  }

  // A box that was taken off the page has lost the focus, too, but nobody has left it.
  left(box) {
    setTimeout(() => { if (box.isConnected && box.getRootNode().activeElement !== box) typed = null; });
  }

  toggle(code) {
    this.draft({ reason: this.words(this.state(), this.focus).reason === code ? "" : code });
    this.draw();
  }

  draw() {
    const now = this.state();
    const item = this.data.items[this.focus];
    const typing = commenting() && typed.id === this.focus;
    if (commenting() && !typing) this.said = "The pair that you were commenting on has left this list: press Esc to go on";
    const note = this.root.querySelector(".comment");
    const hides = now.blind && !now.mine[this.focus] && !item?.mine;
    if (item && !hides) this.shown.add(this.focus);
    const parts = item ? this.pair(now, item, hides) : [element("div", { class: "done" }, now.left ? "Waiting for more pairs …" : "Every pair of this session is decided.")];
    this.root.replaceChildren(...parts, this.bar(now, item, typing ? note : null), ...(this.help ? [this.sheet()] : []));
    if (typing) this.root.querySelector(".comment").focus();
  }

  pair(now, item, hides) {
    const user = this.data.users[item.user];
    const place = now.queue.indexOf(item.id);
    const said = now.mine[item.id] === undefined ? item.mine : now.mine[item.id];
    const history = user.history.filter(([other]) => other !== item.item).slice(0, 40);
    const own = new Set(item.category.split(" · ").filter(Boolean));
    const shares = (category) => category.split("|").some((one) => own.has(one));
    const others = user.clicks - (item.where === "clicked" ? 1 : 0);
    const head = element("div", { class: "head" },
      element("span", { class: "place" }, place < 0 ? "decided" : `${place + 1} of ${now.left}`),
      element("span", { class: "chip" }, item.where),
      said ? element("span", { class: "chip mine" }, `you: ${said === "flag" ? "flagged" : this.data.answers[said]}`) : null,
      ...(hides && !item.settles ? [] : item.others.map((one) => element("span", { class: "chip mine" }, `${one.who}: ${one.said}`))),
      item.settles && !said ? element("span", { class: "chip" }, "your decision settles it") : null,
      element("a", { class: "open", href: this.address(user.id, item.itemId), target: "_blank" }, "open on Pair ↗"));
    const left = element("section", { class: "card" }, element("h2", {}, `User ${user.id}`),
      element("p", { class: "grey" }, [user.about, `${others} other clicks${history.length < others ? `, ${history.length} shown` : ""}`].filter(Boolean).join(" · ")),
      element("ul", { class: "history", tabindex: "0", "aria-label": "history" }, ...history.map(([, title, category]) =>
        element("li", { class: shares(category) ? "shared" : "" }, title, element("small", {}, category.replaceAll("|", " · "))))));
    const right = element("section", { class: "card" }, element("h2", { class: "title" }, item.title),
      element("p", { class: "category" }, item.category), element("p", {}, item.text || "There is no description of this item."),
      element("p", { class: "grey" }, `${item.about}. ${history.filter(([, , category]) => shares(category)).length} of the clicks shown share a category with it.`));
    return [head, element("div", { class: "two" }, left, right), ...this.judge(item, hides)];
  }

  judge(item, hides) {
    if (hides) return [element("p", { class: "hidden" }, "Blind: the judge, the doubt and what others said are shown once you have decided.")];
    const doubt = item.doubt ? [element("p", { class: "grey" }, item.doubt)] : [];
    if (!item.judge) return [element("p", { class: "grey" }, "No judge has answered about this pair yet."), ...doubt];
    return [element("div", { class: "two" }, ...item.judge.views.map((view) => element("section", { class: "card view" },
      element("h3", {}, view.title, element("span", { class: `chip ${view.rating}` }, `${view.sign} ${view.rating}`)), element("p", {}, view.text)))),
    element("p", { class: "grey" }, `Judged ${item.judge.verdict} by ${item.judge.by}. ${item.doubt}`)];
  }

  address(user, item) {
    const url = new URL("pair", document.baseURI);
    const here = new URLSearchParams(location.search);
    for (const name of ["dataset", "run", "sent"]) if (here.get(name)) url.searchParams.set(name, here.get(name));
    const more = { list: `review-${this.data.order}`, ...(this.data.blind ? { blind: true } : {}), user, item };
    for (const [name, value] of Object.entries(more)) url.searchParams.set(name, value);
    return url.href;
  }

  bar(now, item, note) {
    const { reason, note: text } = this.words(now, this.focus);
    const off = !this.data.who;
    const button = ([key, [what, words, means]]) => element("button", {
      class: `act ${what}`, disabled: off || (!item && OF_A_PAIR.includes(what)), "aria-keyshortcuts": key, title: means, "aria-pressed": what === "blind" ? String(now.blind) : null,
      onclick: (event) => { event.currentTarget.blur(); this.act(what); },
    }, element("kbd", {}, SIGNS[key] || key.toUpperCase()), words, item?.means[what] && what !== "unsure" ? element("small", {}, item.means[what]) : null);
    const all = Object.entries(KEYS).map(button);
    const reasons = this.data.reasons.map(([code, words], at) => element("button", {
      class: `reason${reason === code ? " on" : ""}`, "aria-pressed": String(reason === code), disabled: off || !item, onclick: (event) => { event.currentTarget.blur(); this.toggle(code); },
    }, element("kbd", {}, String(at + FIRST_REASON)), words));
    const box = note || element("input", { class: "comment", maxlength: "500", placeholder: "Comment, kept with the answer that follows", "aria-label": "Comment", disabled: off || !item, oninput: (event) => this.typing(event.target), onfocus: () => (typed = { id: this.focus, at: Date.now() }), onblur: (event) => this.left(event.target) });
    if (!note) box.value = text;
    const comment = all.findIndex((one) => one.classList.contains("note"));
    const [noting] = all.splice(comment, 1);
    return element("div", { class: "bar" }, element("div", { class: "row" }, ...all.slice(0, 3), noting, box),
      element("div", { class: "row" }, ...reasons, ...all.slice(3), this.status(now)));
  }

  status(now) {
    const waiting = this.pending.length ? `${this.pending.length} not saved yet` : "All saved";
    const text = this.data.who ? [this.said, waiting].filter(Boolean).join(" · ") : "Enter your name in the sidebar first: every decision carries it.";
    return element("p", { class: "status", role: "status", "data-pending": String(this.pending.length), "data-left": String(now.left) }, text);
  }

  sheet() {
    const rows = Object.entries(KEYS).map(([key, [, words, means]]) => [SIGNS[key] || key.toUpperCase(), words, means]);
    this.data.reasons.forEach(([, words], at) => rows.push([String(at + FIRST_REASON), "Reason", words]));
    const { left, width } = this.root.getBoundingClientRect();
    const style = `left: ${left + width / 2}px; width: ${Math.min(width, 720)}px`;
    return element("div", { class: "sheet", role: "region", "aria-label": "Keys", style }, element("h2", {}, "Keys"),
      element("div", { class: "keys" }, ...rows.map(([key, words, means]) => element("div", {}, element("kbd", {}, key), element("span", {}, words, element("small", {}, means))))),
      element("p", { class: "grey" }, "Keys are off while you type. Shift + Z and Y do again, Ctrl + Z undoes, ? or Esc closes this."));
  }
}

export default function ({ data, parentElement, setStateValue }) {
  let view = views.get(parentElement);
  if (!view) views.set(parentElement, (view = new Review(parentElement)));
  view.send = setStateValue;
  view.receive(data);
  return () => setTimeout(() => {
    if (view.root.isConnected) return;
    view.close();
    views.delete(parentElement);
  });
}
