"use strict";
// The page is complete without this: it adds the search and the buttons.
(() => {
  const $ = (id) => document.getElementById(id);
  document.querySelectorAll(".tools [hidden]").forEach((tool) => { tool.hidden = false; });
  const field = $("find"), said = $("found"), form = field.form;
  const marks = window.Highlight && CSS.highlights ? new Highlight() : null;
  if (marks) CSS.highlights.set("found", marks);

  // A link to a job opens it.
  const open = (node) => {
    for (let at = node; at; at = at.parentElement) if (at.tagName === "DETAILS") at.open = true;
  };
  const follow = () => {
    const target = location.hash.startsWith("#job-") && $(location.hash.slice(1));
    if (target) { open(target); target.scrollIntoView(); target.querySelector("summary").focus({ preventScroll: true }); }
  };
  addEventListener("hashchange", follow);
  follow();
  const each = (isOpen) => () => document.querySelectorAll("details").forEach((part) => { part.open = isOpen; });
  $("unfold").onclick = each(true);
  $("fold").onclick = each(false);

  // Lines and what is searched of them, once they are asked for.
  let lines = null;
  const texts = (line) => {
    const walk = document.createTreeWalker(line, NodeFilter.SHOW_TEXT), found = [];
    while (walk.nextNode()) if (walk.currentNode.parentNode.tagName !== "TIME") found.push(walk.currentNode);
    return found;
  };
  const collect = () => {
    lines = Array.from(document.querySelectorAll(".job .c > div, .job .sec > summary, .job .gap"), (line) => ({
      line, text: texts(line).map((node) => node.data).join("").toLowerCase(),
    }));
  };
  let hits = [], at = -1, asked = "";
  // More marks than anybody looks at make pages slow.
  const MOST_MARKS = 2000;
  const mark = (line, from, length) => {
    let place = 0;
    for (const node of texts(line)) {
      const begin = Math.max(from - place, 0), end = Math.min(from + length - place, node.length);
      if (begin < end) {
        const range = new Range();
        range.setStart(node, begin);
        range.setEnd(node, end);
        marks.add(range);
      }
      place += node.length;
    }
  };
  const clear = () => {
    hits.forEach(({ line }) => line.classList.remove("hit", "now"));
    if (marks) marks.clear();
    hits = [];
    at = -1;
  };
  const search = () => {
    clear();
    asked = field.value;
    const words = asked.toLowerCase();
    if (!words) { said.value = ""; return; }
    if (!lines) collect();
    hits = lines.filter(({ text }) => text.includes(words));
    hits.slice(0, MOST_MARKS).forEach(({ line, text }) => {
      if (!marks) line.classList.add("hit");
      else for (let from = text.indexOf(words); from >= 0; from = text.indexOf(words, from + words.length)) mark(line, from, words.length);
    });
    said.value = hits.length ? `${hits.length} ${hits.length === 1 ? "line" : "lines"}` : "nothing found";
  };
  const go = (step) => {
    clearTimeout(soon);
    // Who types and goes on at once has not been waited for.
    if (field.value !== asked) search();
    if (!hits.length) return;
    if (at >= 0) hits[at].line.classList.remove("now");
    else if (step < 0) at = 0;
    at = (at + step + hits.length) % hits.length;
    const { line } = hits[at];
    line.classList.add("now");
    open(line);
    line.scrollIntoView({ block: "center" });
    said.value = `${at + 1} of ${hits.length}`;
  };
  let soon = 0;
  field.oninput = () => { clearTimeout(soon); soon = setTimeout(search, 120); };
  form.onsubmit = (event) => {
    event.preventDefault();
    go(1);
  };
  $("back").onclick = () => go(-1);
  addEventListener("keydown", (event) => {
    const isTyping = /^(INPUT|TEXTAREA)$/.test(event.target.tagName);
    if (event.key === "/" && !isTyping && !event.ctrlKey && !event.metaKey && !event.altKey) { event.preventDefault(); field.focus(); }
    if (event.key === "Enter" && event.shiftKey && event.target === field) { event.preventDefault(); $("back").click(); }
    if (event.key === "Escape" && event.target === field) { field.value = ""; search(); }
  });
})();
