"use strict";
(function () {
  document.documentElement.classList.add("js");
  const data = JSON.parse(document.getElementById("data").textContent);
  const byId = (id) => document.getElementById(id);
  const WORDS = { S: "✓ sent", K: "✓ was there", V: "✓ verified", F: "✗ failed", L: "⊘ left out", U: "… unfinished", X: "· excluded",
    N: "– not tried", P: "✓ pulled", E: "– from another site" };
  WORDS.K = "✓ was " + data.words.there;
  const LOOKS = ["not looked at", "known from an earlier run, and still listed", "names and sizes of its files",
    "all files with their sizes, and the server can open it", "that, and the same fingerprint at all sites",
    "every byte read back and compared"];
  const scroll = byId("scroll"), rows = byId("rows"), grid = byId("grid"), detail = byId("detail");
  const words = byId("words"), only = byId("only"), chosen = byId("site");
  const AHEAD = 15;
  const HEIGHT = Object.keys(data.thumbnails).length ? 74 : 30;
  let shown = [];                 // numbers of the slides that the filter lets through
  let active = { row: 0, column: 0 };
  let drawn = [-1, -1];

  function make(tag, text, className) {
    const element = document.createElement(tag);
    if (text !== undefined) element.textContent = text;
    if (className) element.className = className;
    return element;
  }
  function size(bytes) {
    const units = ["bytes", "KiB", "MiB", "GiB", "TiB"];
    let unit = 0;
    while (bytes >= 1024 && unit < units.length - 1) { bytes /= 1024; unit += 1; }
    return (unit ? bytes.toFixed(1) : bytes) + " " + units[unit];
  }
  function two(number) { return String(number).padStart(2, "0"); }
  function clock(seconds, long) {  // in the time zone of the machine that made the run
    const time = new Date((data.start + seconds + data.zone) * 1000);
    const hours = two(time.getUTCHours()) + ":" + two(time.getUTCMinutes());
    const day = time.getUTCFullYear() + "-" + two(time.getUTCMonth() + 1) + "-" + two(time.getUTCDate());
    return long ? day + " " + hours + ":" + two(time.getUTCSeconds()) : hours;
  }
  const at = (site, slide) => site.states[slide];
  const bad = (state) => state === "F" || state === "U" || state === "N";
  const why = (site, slide) => data.errors[site.errors[slide]] || (bad(at(site, slide)) ? site.reason : "") || "";

  const plain = (text) => text.normalize("NFC").toLowerCase();
  const names = data.names.map(plain), errors = data.errors.map(plain);
  const sites = () => chosen.value === "" ? data.sites : [data.sites[Number(chosen.value)]];
  function filter() {
    const wanted = plain(words.value).split(/\s+/).filter(Boolean), among = sites();
    shown = [];
    for (let slide = 0; slide < names.length; slide += 1) {
      if (only.checked && !among.some((site) => bad(at(site, slide)))) continue;
      const said = (word) => among.some((site) => (errors[site.errors[slide]] || "").includes(word));
      if (wanted.every((word) => names[slide].includes(word) || said(word))) shown.push(slide);
    }
    const all = names.length.toLocaleString("en");
    byId("count").textContent = shown.length === names.length ? all + (names.length === 1 ? " slide" : " slides")
      : shown.length.toLocaleString("en") + " of " + all + " slides";
    grid.setAttribute("aria-rowcount", String(shown.length + 1));
    active = { row: 0, column: active.column };
    scroll.scrollTop = 0;
    drawn = [-1, -1];
    draw();
  }

  function row(index) {
    const slide = shown[index], line = make("tr");
    line.setAttribute("aria-rowindex", String(index + 2));
    line.dataset.row = String(index);
    const name = make("th");
    name.scope = "row";
    if (data.thumbnails[slide]) {
      const image = make("img");
      image.src = data.thumbnails[slide];
      image.alt = "";
      name.append(image);
    }
    name.append(data.names[slide]);
    name.title = data.names[slide];
    line.append(name, make("td", size(data.bytes[slide]), "size"));
    data.sites.forEach((site, column) => {
      const state = at(site, slide), cell = make("td", WORDS[state] + " ", "cell " + state);
      cell.dataset.column = String(column);
      cell.tabIndex = index === active.row && column === active.column ? 0 : -1;
      const error = why(site, slide);
      if (error) cell.title = error;
      if (error) cell.append(make("small", error));
      else if (site.when[slide] >= 0 && (state === "S" || state === "V" || state === "P")) cell.append(make("small", clock(site.when[slide])));
      line.append(cell);
    });
    return line;
  }
  function space(count) {
    const line = make("tr", undefined, "space"), cell = make("td");
    line.setAttribute("aria-hidden", "true");
    cell.colSpan = data.sites.length + 2;
    cell.style.height = count * HEIGHT + "px";
    line.append(cell);
    return line;
  }
  function draw(force) {
    const first = Math.max(0, Math.floor(scroll.scrollTop / HEIGHT) - AHEAD);
    const last = Math.min(shown.length, first + Math.ceil(scroll.clientHeight / HEIGHT) + 2 * AHEAD);
    if (!force && first === drawn[0] && last === drawn[1]) return;
    const focused = rows.contains(document.activeElement);
    drawn = [first, last];
    const lines = [];
    if (first > 0) lines.push(space(first));
    for (let index = first; index < last; index += 1) lines.push(row(index));
    if (last < shown.length) lines.push(space(shown.length - last));
    if (!shown.length) lines.push(make("tr"));
    rows.replaceChildren(...lines);
    if (!shown.length) {
      const none = make("td", "no slide is like that");
      none.colSpan = data.sites.length + 2;
      rows.firstChild.append(none);
    }
    if (focused) focusActive();
  }
  function focusActive() {
    const cell = rows.querySelector('tr[data-row="' + active.row + '"] td[data-column="' + active.column + '"]');
    if (cell) cell.focus({ preventScroll: true });
  }
  function move(to, column) {
    active = { row: Math.min(Math.max(to, 0), shown.length - 1), column: Math.min(Math.max(column, 0), data.sites.length - 1) };
    const top = active.row * HEIGHT, room = scroll.clientHeight - 34;
    if (top < scroll.scrollTop) scroll.scrollTop = top;
    else if (top + HEIGHT > scroll.scrollTop + room) scroll.scrollTop = top + HEIGHT - room;
    draw(true);
    focusActive();
  }

  function fact(list, name, value) {
    list.append(make("dt", name), make("dd", value));
  }
  function command(text) {
    const box = make("div", undefined, "command"), button = make("button", "Copy");
    button.type = "button";
    button.dataset.copy = "";
    box.append(make("pre", text), button);
    return box;
  }
  function open() {
    const slide = shown[active.row], site = data.sites[active.column];
    if (slide === undefined || !site) return;
    const state = at(site, slide), list = make("dl", undefined, "facts");
    detail.replaceChildren(make("h3", data.names[slide] + " at " + site.name));
    if (data.thumbnails[slide]) {
      const image = make("img");
      image.src = data.thumbnails[slide];
      image.alt = "thumbnail";
      detail.append(image);
    }
    fact(list, "state", WORDS[state].slice(2));
    const error = why(site, slide);
    if (site.when[slide] >= 0) fact(list, state === "U" ? "begun" : "when", clock(site.when[slide], true));
    if (site.looks[slide] !== "-") fact(list, "verified by", LOOKS[Number(site.looks[slide])]);
    fact(list, "size", size(data.bytes[slide]) + " in " + data.files[slide] + (data.files[slide] === 1 ? " file" : " files"));
    fact(list, "format", data.formats[data.format[slide]]);
    if (site.named[slide]) fact(list, "name there", site.named[slide]);
    const sent = site.sent[slide];
    if (sent) fact(list, data.words.moved + " now", size(sent[0]) + (sent[1] ? ", and " + size(sent[1]) + " by an earlier run" : "") + ", " + sent[2] + " s");
    detail.append(list);
    if (error) detail.append(make("p", error, "error"));
    if (bad(state) && data.commands[slide]) detail.append(make("p", "This " + data.words.again + ":"), command(data.commands[slide]));
    const close = make("button", "Close");
    close.type = "button";
    close.addEventListener("click", shut);
    detail.append(close);
    detail.hidden = false;
    for (const line of rows.querySelectorAll("tr.on")) line.classList.remove("on");
    const here = rows.querySelector('tr[data-row="' + active.row + '"]');
    if (here) here.classList.add("on");
  }
  function shut() {
    detail.hidden = true;
    focusActive();
  }

  const title = make("tr");
  [["slide", ""], ["size", "size"], ...data.sites.map((site) => [site.name, ""])].forEach(([text, name]) => {
    const cell = make("th", text, name);
    cell.scope = "col";
    cell.title = text;
    title.append(cell);
  });
  title.setAttribute("aria-rowindex", "1");
  title.children[1].style.width = "6.5rem";
  for (let column = 2; column < title.children.length; column += 1) title.children[column].style.width = "12rem";
  byId("head").append(title);
  grid.style.minWidth = 25 + 12 * data.sites.length + "rem";
  const sheet = grid.style;
  sheet.setProperty("--row", HEIGHT + "px");
  data.sites.forEach((site, number) => {
    const option = make("option", site.name);
    option.value = String(number);
    chosen.append(option);
  });

  rows.addEventListener("click", (event) => {
    const cell = event.target.closest("td.cell");
    if (!cell) return;
    move(Number(cell.parentElement.dataset.row), Number(cell.dataset.column));
    open();
  });
  rows.addEventListener("keydown", (event) => {
    const page = Math.max(1, Math.floor(scroll.clientHeight / HEIGHT) - 2), { row: at, column } = active;
    const moves = { ArrowDown: [at + 1, column], ArrowUp: [at - 1, column], ArrowLeft: [at, column - 1],
      ArrowRight: [at, column + 1], PageDown: [at + page, column], PageUp: [at - page, column],
      Home: [0, column], End: [shown.length - 1, column] };
    if (moves[event.key]) move(...moves[event.key]);
    else if (event.key === "Enter" || event.key === " ") open();
    else if (event.key === "Escape") shut();
    else return;
    event.preventDefault();
  });
  document.addEventListener("click", (event) => {
    const button = event.target.closest("button[data-copy]"), show = event.target.closest("button[data-show]");
    if (button) {
      const text = button.previousElementSibling;
      const done = () => { button.textContent = "Copied"; };
      const mark = () => { getSelection().selectAllChildren(text); if (document.execCommand("copy")) done(); };
      if (navigator.clipboard) navigator.clipboard.writeText(text.textContent).then(done, mark);
      else mark();
    } else if (show) {
      chosen.value = show.dataset.show;
      only.checked = true;
      words.value = "";
      filter();
      byId("h-slides").scrollIntoView();
    }
  });
  words.form.addEventListener("submit", (event) => event.preventDefault());
  words.addEventListener("input", filter);
  only.addEventListener("change", filter);
  chosen.addEventListener("change", filter);
  scroll.addEventListener("scroll", () => draw(), { passive: true });
  addEventListener("resize", () => draw());
  filter();
})();
