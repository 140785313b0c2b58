// Keeps the page as it is on the server. All text comes ready to be shown and goes in as text, never as HTML; nothing is formatted
// here. Listens to `events?page`; where that is not possible it asks for `page.json` every other second and tries again.
"use strict";

const POLL = 2000;
const LISTEN_AGAIN = 10000;
const STALE = 4000;
const LINES = 200;
const RACES = 30;
const SVG = "http://www.w3.org/2000/svg";

const byId = (id) => document.getElementById(id);
let token = null; // in this page's memory alone: gone with it
let heardAt = null;
let poller = null;
let source = null;

// --- drawing ---------------------------------------------------------------------------------------------------------------

function setText(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

function each(root, selector, draw) {
  if (root.matches(selector)) draw(root);
  root.querySelectorAll(selector).forEach(draw);
}

function fill(root, values) {
  each(root, "[data-text]", (element) => {
    const text = values[element.dataset.text];
    setText(element, text);
    if (element.matches(".note, .cause, .error, .reason")) element.hidden = text === "";
    if (element.dataset.title) element.title = values[element.dataset.title];
  });
  each(root, "[data-as]", (element) => { element.dataset.level = values[element.dataset.as]; });
}

function label(svg, text) {
  svg.setAttribute("aria-label", text);
  const title = svg.querySelector("title");
  if (title) setText(title, text);
}

function fillGauge(root, pool) {
  const gauge = root.querySelector("[data-gauge]");
  label(gauge.querySelector("svg"), pool.label);
  for (const bar of pool.bars) {
    const rect = gauge.querySelector("rect." + bar.kind);
    rect.setAttribute("x", bar.x);
    rect.setAttribute("width", bar.width);
  }
  setText(gauge.querySelector(".figure"), pool.text);
}

function fillRow(row, node) {
  row.dataset.node = node.name;
  fill(row, node);
  fillGauge(row, node.pool);
  const line = row.querySelector("[data-line]");
  label(line, node.line_label);
  line.querySelector("path").setAttribute("d", node.line);
  const drain = row.querySelector("[data-action=drain]");
  if (drain) {
    const resume = row.querySelector("[data-action=resume]");
    const focused = document.activeElement === drain || document.activeElement === resume;
    drain.hidden = node.draining;
    resume.hidden = !node.draining;
    if (focused) (node.draining ? resume : drain).focus();
  }
}

function fillCluster(section, cluster) {
  const facts = section.querySelector(".facts");
  fill(facts, cluster);
  fillGauge(facts, cluster.pool);
  const body = section.querySelector("tbody");
  const rows = new Map([...body.rows].map((row) => [row.dataset.node, row]));
  cluster.nodes.forEach((node, index) => {
    let row = rows.get(node.name);
    rows.delete(node.name);
    if (!row) row = byId("row").content.firstElementChild.cloneNode(true);
    fillRow(row, node);
    if (body.rows[index] !== row) body.insertBefore(row, body.rows[index] || null);
  });
  rows.forEach((row) => row.remove());
  section.querySelector(".none").hidden = cluster.nodes.length > 0;
}

function show(page) {
  const verdict = byId("verdict");
  verdict.dataset.level = page.verdict.level;
  setText(verdict.firstElementChild, page.verdict.text);
  const sections = new Map([...document.querySelectorAll("[data-cluster]")].map((each) => [each.dataset.cluster, each]));
  for (const cluster of page.clusters) {
    const section = sections.get(cluster.name);
    if (section) fillCluster(section, cluster);
  }
  heardAt = Date.now();
}

function addLine(list, template, values, most) {
  const item = byId(template).content.firstElementChild.cloneNode(true);
  fill(item, values);
  const bars = item.querySelector("[data-bars]");
  if (bars) {
    bars.setAttribute("viewBox", "0 0 200 " + values.height);
    bars.setAttribute("height", values.height);
    bars.setAttribute("aria-label", values.logins);
    for (const bar of values.bars) {
      const rect = document.createElementNS(SVG, "rect");
      const title = document.createElementNS(SVG, "title");
      title.textContent = bar.label;
      rect.setAttribute("class", bar.outcome);
      for (const [name, value] of [["x", bar.x], ["y", bar.y + 1], ["width", bar.width], ["height", 6], ["rx", 1]]) {
        rect.setAttribute(name, value);
      }
      rect.append(title);
      bars.append(rect);
    }
  }
  list.prepend(item);
  while (list.children.length > most) list.lastElementChild.remove();
  list.parentElement.querySelector(".none").hidden = true;
}

// --- hearing ---------------------------------------------------------------------------------------------------------------

function setLive(state, text) {
  const live = byId("live");
  live.dataset.state = state;
  setText(live.querySelector(".live-text"), text);
}

function showAge() {
  const silent = heardAt === null ? 0 : Date.now() - heardAt;
  const stale = silent > STALE;
  document.body.classList.toggle("stale", stale);
  if (stale) setLive("lost", "No answer for " + Math.round(silent / 1000) + " s");
  else if (poller !== null) setLive("polling", "Asking every 2 s; events are not live");
  else if (source !== null && source.readyState === EventSource.OPEN) setLive("live", "Live");
}

async function poll() {
  try {
    const answer = await fetch("page.json", { signal: AbortSignal.timeout(POLL * 2) });
    if (answer.ok) show(await answer.json());
  } catch {
    // The age of what is shown says so.
  }
}

function startPolling() {
  if (poller === null) {
    poller = setInterval(poll, POLL);
    poll();
  }
}

function listen() {
  let first = source === null;
  source = new EventSource("events?page");
  source.addEventListener("open", () => {
    if (first) { // what is kept comes again
      byId("log").replaceChildren();
      byId("races").replaceChildren();
      first = false;
    }
    clearInterval(poller);
    poller = null;
  });
  source.addEventListener("page", (message) => { show(JSON.parse(message.data)); showAge(); });
  source.addEventListener("event", (message) => addLine(byId("log"), "log-line", JSON.parse(message.data), LINES));
  source.addEventListener("race", (message) => addLine(byId("races"), "race-line", JSON.parse(message.data), RACES));
  source.addEventListener("error", () => {
    startPolling();
    if (source.readyState === EventSource.CLOSED) setTimeout(listen, LISTEN_AGAIN);
  });
}

// --- doing -----------------------------------------------------------------------------------------------------------------

const WORDS = {
  drain: ["Drain", "No new work goes to this node, and its users are given time to return their connections. It stays registered."],
  resume: ["Resume", "The node is used again."],
  expire: ["Expire", "The node's pooled connections are replaced: idle ones now, leased ones when they come back."],
};

function say(text, level) {
  const done = byId("done");
  done.hidden = false;
  done.dataset.level = level;
  setText(done, text);
}

async function post(cluster, node, action, seconds) {
  const path = ["nodes", cluster, node, action].map(encodeURIComponent).join("/");
  const query = action === "drain" ? "?timeout=" + encodeURIComponent(seconds) : "";
  const answer = await fetch(path + query, { method: "POST", headers: { Authorization: "Bearer " + token } });
  const body = await answer.json();
  if (answer.status === 401) token = null;
  if (!answer.ok) throw new Error(body.error);
  return body;
}

function act(button) {
  const action = button.dataset.action;
  const node = button.closest("[data-node]").dataset.node;
  const cluster = button.closest("[data-cluster]").dataset.cluster;
  const dialog = byId("confirm");
  const form = dialog.querySelector("form");
  const [word, text] = WORDS[action];
  setText(byId("confirm-title"), word + " " + node + "?");
  setText(byId("confirm-text"), text);
  setText(form.querySelector(".primary"), word);
  byId("confirm-seconds").hidden = action !== "drain";
  byId("confirm-token").hidden = token !== null;
  form.elements.token.required = token === null;
  byId("confirm-error").hidden = true;
  form.elements.token.value = "";
  form.querySelector("[value=cancel]").onclick = () => dialog.close();
  form.onsubmit = async (event) => {
    event.preventDefault();
    if (token === null) token = form.elements.token.value;
    form.elements.token.value = "";
    dialog.close();
    say(word + " " + node + " …", "calm");
    try {
      const done = await post(cluster, node, action, form.elements.seconds.value);
      const cut = done.interrupted ? " " + done.interrupted + " connections were cut." : "";
      say(word + " " + node + ": done." + cut, "good");
    } catch (error) {
      say(word + " " + node + ": " + error.message, "bad");
    }
  };
  dialog.showModal();
}

document.addEventListener("click", (event) => {
  const button = event.target.closest("button[data-action]");
  if (button) act(button);
});

setInterval(showAge, 1000);
listen();
