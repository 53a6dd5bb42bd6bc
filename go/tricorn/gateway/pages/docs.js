"use strict";

// Shows /openapi.json: routes by tag, their types, and a form to call them. No library, no request to anyone else.

const VERBS = ["get", "post", "put", "patch", "delete"];
const SHOWN_LONGEST = 200000;
let contract;

function make(tag, properties = {}, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (name === "class") node.className = value;
    else if (name in node) node[name] = value;
    else node.setAttribute(name, value);
  }
  node.append(...children.filter((child) => child !== null && child !== undefined));
  return node;
}

// The little Markdown that descriptions use: paragraphs, lists and code.
function prose(text) {
  const box = make("div");
  for (const block of (text || "").split(/\n\n+/).filter(Boolean)) {
    const lines = block.split("\n");
    const isList = lines.every((line) => line.startsWith("- "));
    const holder = make(isList ? "ul" : "p");
    if (isList) holder.append(...lines.map((line) => inline(make("li"), line.slice(2))));
    else inline(holder, block);
    box.append(holder);
  }
  return box;
}

function inline(node, text) {
  text.split(/`([^`]*)`/).forEach((part, index) => node.append(index % 2 ? make("code", {}, part) : part));
  return node;
}

function resolve(thing) {
  if (!thing || !thing.$ref) return thing;
  return thing.$ref.slice(2).split("/").reduce((at, key) => at[key.replaceAll("~1", "/").replaceAll("~0", "~")], contract);
}

function typeOf(schema) {
  if (!schema) return document.createTextNode("anything");
  if (schema.$ref) {
    const name = schema.$ref.split("/").pop();
    return make("a", { href: `#schema-${name}` }, resolve(schema).title || name);
  }
  if (schema.anyOf) return typeOf(schema.anyOf[0]);
  if (schema.type === "array") return make("span", {}, "array of ", typeOf(schema.items));
  if (schema.properties?.data?.contentSchema) return make("span", {}, "events of ", typeOf(schema.properties.data.contentSchema));
  if (schema.type === "object" && schema.additionalProperties)
    return make("span", {}, "map to ", typeOf(schema.additionalProperties));
  const kind = Array.isArray(schema.type) ? schema.type.join(" or ") : schema.type || "anything";
  return document.createTextNode(schema.format ? `${kind} (${schema.format})` : kind);
}

function limits(schema) {
  const words = [];
  const range = { minimum: "≥", exclusiveMinimum: ">", maximum: "≤", exclusiveMaximum: "<" };
  for (const [key, sign] of Object.entries(range)) {
    const isWholeRange = Math.abs(schema[key]) >= 2 ** 31 - 1;
    if (key in schema && !isWholeRange) words.push(`${sign} ${schema[key]}`);
  }
  if ("minLength" in schema || "maxLength" in schema) words.push(`${schema.minLength || 0} to ${schema.maxLength ?? "∞"} characters`);
  if ("minItems" in schema || "maxItems" in schema) words.push(`${schema.minItems || 0} to ${schema.maxItems ?? "∞"} items`);
  if (schema.uniqueItems) words.push("each once");
  if (schema.pattern && schema.format !== "int64") words.push(`matches ${schema.pattern}`);
  if (schema.enum) words.push(schema.enum.map((value) => JSON.stringify(value)).join(", "));
  if ("const" in schema) words.push(`always ${JSON.stringify(schema.const)}`);
  return words.join(" · ");
}

function row(name, schema, isRequired, description, extra) {
  const about = prose(description || schema.description);
  const limit = limits(schema) || (schema.items ? limits(schema.items) : "");
  if (limit) about.append(make("div", { class: "quiet mono" }, limit));
  return make("tr", {},
    make("td", {}, make("code", {}, name), isRequired ? make("b", { title: "required" }, " *") : null, extra ? make("div", { class: "quiet" }, extra) : null),
    make("td", {}, typeOf(schema)), make("td", {}, about));
}

function properties(schema) {
  const shown = resolve(schema);
  if (!shown || !shown.properties) return make("p", {}, typeOf(schema));
  const names = Object.keys(shown.properties);
  if (!names.length) return make("p", { class: "quiet" }, "No fields.");
  return make("table", {}, make("tbody", {},
    ...names.map((name) => row(name, shown.properties[name], (shown.required || []).includes(name)))));
}

function operation(path, verb, said) {
  const inside = make("div", { class: "inside" });
  const needsUser = said.security.length === 1;
  const shell = make("details", { class: "operation", id: said.operationId },
    make("summary", {}, make("span", { class: `verb ${verb}` }, verb), make("code", {}, path),
      make("span", { class: "quiet" }, said.summary), make("span", { class: "lock" }, needsUser ? "needs a token" : "")),
    inside);
  shell.addEventListener("toggle", () => { if (shell.open && !inside.childElementCount) fill(inside, path, verb, said); });
  shell.dataset.words = `${verb} ${path} ${said.summary} ${said.tags.join(" ")}`.toLowerCase();
  return shell;
}

function fill(box, path, verb, said) {
  box.append(prose(said.description));
  if (said.parameters.length) {
    box.append(make("h4", {}, "Parameters"), make("table", {}, make("tbody", {},
      ...said.parameters.map((each) => row(each.name, each.schema, each.required, each.description, each.in)))));
  }
  const [bodyType, body] = Object.entries(said.requestBody?.content || {})[0] || [];
  if (body) box.append(make("h4", {}, `Body, ${bodyType}`), properties(body.schema));
  box.append(make("h4", {}, "Answers"), answers(said.responses), make("h4", {}, "Try it"), tryIt(path, verb, said, body));
}

function answers(responses) {
  const rows = Object.entries(responses).map(([status, each]) => {
    const shown = resolve(each);
    const [, media] = Object.entries(shown.content || {})[0] || [];
    const about = prose(shown.description);
    if (media?.example !== undefined && status.startsWith("2")) about.append(make("pre", {}, JSON.stringify(media.example, null, 2)));
    return make("tr", {}, make("td", { class: "status" }, status), make("td", {}, media ? typeOf(media.schema) : ""), make("td", {}, about));
  });
  return make("table", {}, make("tbody", {}, ...rows));
}

function tryIt(path, verb, said, body) {
  const fields = said.parameters.map((each) => {
    const input = make("input", { name: each.name, required: each.required, placeholder: each.schema.format || each.schema.type || "" });
    if (each.name === "Idempotency-Key") input.value = crypto.randomUUID ? crypto.randomUUID() : String(Date.now());
    return { each, input };
  });
  const text = body ? make("textarea", { spellcheck: false, value: JSON.stringify(body.example ?? {}, null, 2) }) : null;
  const send = make("button", { type: "submit" }, "Send");
  const stop = make("button", { type: "button", class: "hidden" }, "Stop");
  const result = make("div", { "aria-live": "polite" });
  const form = make("form", {},
    ...fields.flatMap(({ each, input }) => [make("label", {}, `${each.name} (${each.in})`, make("br"), input)]),
    text ? make("label", {}, "Body", text) : null, make("p", {}, send, " ", stop), result);
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    const abort = new AbortController();
    stop.onclick = () => abort.abort();
    send.disabled = true;
    stop.classList.remove("hidden");
    await call(request(path, verb, fields, text, abort.signal), result);
    send.disabled = false;
    stop.classList.add("hidden");
  });
  return form;
}

function request(path, verb, fields, text, signal) {
  const headers = {};
  const query = new URLSearchParams();
  for (const { each, input } of fields) {
    if (!input.value && each.in !== "path") continue;
    if (each.in === "path") path = path.replace(`{${each.name}}`, encodeURIComponent(input.value));
    else if (each.in === "header") headers[each.name] = input.value;
    else if (each.schema.type === "array") input.value.split(",").forEach((value) => query.append(each.name, value.trim()));
    else query.append(each.name, input.value);
  }
  const token = document.getElementById("token").value.trim();
  if (token) headers.Authorization = `Bearer ${token}`;
  if (text) headers["Content-Type"] = "application/json";
  const url = query.size ? `${path}?${query}` : path;
  return { url, init: { method: verb.toUpperCase(), headers, body: text ? text.value : undefined, signal } };
}

async function call({ url, init }, result) {
  const began = performance.now();
  const shown = make("pre", {}, "");
  result.replaceChildren(make("p", { class: "quiet" }, `${init.method} ${url}`), shown);
  try {
    const answer = await fetch(url, init);
    const head = `${answer.status} ${answer.statusText}, ${(performance.now() - began).toFixed(0)} ms`;
    const kept = ["etag", "location", "retry-after", "ratelimit-remaining", "server-timing", "x-trace-id"]
      .filter((name) => answer.headers.get(name)).map((name) => `${name}: ${answer.headers.get(name)}`).join("\n");
    result.firstChild.replaceChildren(make("span", { class: "status" }, head), make("pre", {}, kept));
    await show(answer, shown);
  } catch (error) {
    shown.append(error.name === "AbortError" ? "\nstopped" : String(error));
  }
}

async function show(answer, shown) {
  const type = answer.headers.get("content-type") || "";
  if (type.startsWith("text/event-stream")) {
    const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
    for (let part = await reader.read(); !part.done; part = await reader.read()) shown.append(part.value);
    return;
  }
  const text = await answer.text();
  shown.textContent = (type.includes("json") && text ? JSON.stringify(JSON.parse(text), null, 2) : text).slice(0, SHOWN_LONGEST);
}

function draw() {
  document.title = contract.info.title;
  document.getElementById("title").textContent = `${contract.info.title} ${contract.info.version}`;
  document.getElementById("introduction").append(prose(contract.info.description),
    make("p", {}, make("a", { href: "/openapi.json" }, "openapi.json"), " · ", make("a", { href: "/problems" }, "problems")));
  const index = document.getElementById("index");
  const box = document.getElementById("operations");
  box.replaceChildren();
  for (const tag of contract.tags) {
    const title = tag.name.split(".").pop();
    const links = make("div", {}, make("h2", {}, title));
    const section = make("section", {}, make("h2", {}, title), prose(tag.description));
    for (const [path, verbs] of Object.entries(contract.paths)) {
      for (const verb of VERBS.filter((each) => verbs[each]?.tags.includes(tag.name))) {
        const shell = operation(path, verb, verbs[verb]);
        const link = make("a", { href: `#${shell.id}` }, make("span", { class: `verb ${verb}` }, verb), make("span", {}, path));
        link.dataset.words = shell.dataset.words;
        link.addEventListener("click", () => { shell.open = true; });
        links.append(link);
        section.append(shell);
      }
    }
    index.append(links);
    box.append(section);
  }
  const schemas = document.getElementById("schemas");
  schemas.append(make("h2", {}, "Types"));
  for (const [name, schema] of Object.entries(contract.components.schemas)) {
    schemas.append(make("section", { id: `schema-${name}` },
      make("h3", {}, schema.title || name, " ", make("span", { class: "quiet mono" }, name)), prose(schema.description), properties(schema)));
  }
}

document.getElementById("search").addEventListener("input", (event) => {
  const wanted = event.target.value.toLowerCase().split(/\s+/);
  for (const node of document.querySelectorAll("[data-words]"))
    node.classList.toggle("hidden", !wanted.every((word) => node.dataset.words.includes(word)));
});

const token = document.getElementById("token");
token.value = sessionStorage.getItem("token") || "";
token.addEventListener("change", () => sessionStorage.setItem("token", token.value));

fetch("/openapi.json").then((answer) => answer.json()).then((read) => { contract = read; draw(); openLinked(); })
  .catch((error) => document.getElementById("operations").replaceChildren(make("p", {}, `The document cannot be read: ${error}`)));

function openLinked() {
  const node = document.getElementById(location.hash.slice(1));
  if (node?.tagName === "DETAILS") node.open = true;
  node?.scrollIntoView();
}
window.addEventListener("hashchange", openLinked);
