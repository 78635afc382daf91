// What the page is made of, and how it is drawn anew after each key.

const byId = (id) => document.getElementById(id);

function make(tag, className, text) {
  const element = document.createElement(tag);
  if (className) element.className = className;
  if (text !== undefined) element.textContent = text;
  return element;
}

function say(text) {
  byId("message").textContent = text;
  delete byId("message").dataset.opening;
}

function toggleKeys(shown) {
  byId("help").hidden = shown === undefined ? !byId("help").hidden : !shown;
}

// Once per case: a canvas for each picture, one for each picture's joint, a button for each value, a tile for each joint.
function buildCase(reading) {
  const { pictures, what, patient } = reading.case;
  byId("what").textContent = what;
  byId("patient").textContent = `patient ${patient}`;
  byId("films").replaceChildren(...pictures.map((picture, at) => buildFilm(reading, picture, at)));
  reading.viewers = [...byId("films").querySelectorAll("canvas")].map((canvas) => new Viewer(canvas));
  const hasSpots = pictures.some((picture) => picture.spots);
  byId("joint").hidden = !hasSpots;
  byId("joints").hidden = !hasSpots;
  byId("main").className = hasSpots ? "" : "plain";
  byId("joint").replaceChildren(...(hasSpots ? pictures.map((picture, at) => buildJoint(reading, picture, at)) : []));
  const sites = reading.sheet.groups[reading.case.group].sites;
  byId("joints").replaceChildren(...(hasSpots ? sites.map((site) => buildTile(reading, site)) : []));
  byId("typed").replaceChildren();
}

function buildFilm(reading, picture, at) {
  const figure = make("figure", "film");
  const canvas = make("canvas");
  figure.append(canvas, make("figcaption", "", picture.title));
  canvas.addEventListener("wheel", (event) => {
    event.preventDefault();
    const [x, y] = atCanvas(canvas, event);
    reading.viewers[at].zoomAt(picture, event.deltaY < 0 ? 1.2 : 1 / 1.2, x, y);
    reading.draw();
  });
  canvas.addEventListener("contextmenu", (event) => event.preventDefault());
  dragWindow(reading, canvas, at);
  return figure;
}

// Dragging changes the window; with the right button or Shift the picture moves. A click chooses a joint.
function dragWindow(reading, canvas, at) {
  let from = null;
  canvas.addEventListener("pointerdown", (event) => {
    from = { x: event.clientX, y: event.clientY, moves: event.shiftKey || event.button !== 0, far: false };
    canvas.setPointerCapture(event.pointerId);
  });
  canvas.addEventListener("pointermove", (event) => {
    if (!from) return;
    const across = event.clientX - from.x;
    const down = event.clientY - from.y;
    if (!from.far && Math.hypot(across, down) < 4) return;
    Object.assign(from, { x: event.clientX, y: event.clientY, far: true });
    if (from.moves && at !== null) {
      const { aside } = reading.viewers[at];
      const ratio = canvas.width / canvas.clientWidth;
      reading.viewers[at].aside = [aside[0] + across * ratio, aside[1] + down * ratio];
    } else {
      reading.width = Math.max(0.05, Math.min(4, reading.width * Math.exp(across / 250)));
      reading.level = Math.max(-1, Math.min(1, reading.level + (down / 500) * reading.width));
    }
    reading.draw();
  });
  canvas.addEventListener("pointerup", (event) => {
    if (from && !from.far && at !== null) clickFilm(reading, canvas, at, event);
    from = null;
  });
}

function atCanvas(canvas, event) {
  const box = canvas.getBoundingClientRect();
  const ratio = canvas.width / box.width;
  return [(event.clientX - box.left) * ratio, (event.clientY - box.top) * ratio];
}

function clickFilm(reading, canvas, at, event) {
  const picture = reading.case.pictures[at];
  if (!picture.spots) return;
  const [column, row] = reading.viewers[at].toPicture(picture, ...atCanvas(canvas, event));
  if (reading.moving) {
    const inside = (value, most) => Math.max(0, Math.min(most - 1, value));
    reading.moveBox(picture, inside(column, picture.columns), inside(row, picture.rows));
    return;
  }
  const near = reading.sheet.groups[reading.case.group].sites
    .map((site) => [site.name, reading.answers.spot(picture, site.name)])
    .filter(([, spot]) => spot)
    .map(([name, spot]) => [Math.hypot(spot[0] - column, spot[1] - row), name])
    .sort((one, other) => one[0] - other[0])[0];
  if (near && near[0] < picture.sidePx * 0.6) reading.goSite(near[1], at);
}

function buildJoint(reading, picture, at) {
  const figure = make("figure", "crop");
  const canvas = make("canvas");
  canvas.addEventListener("click", () => reading.site && reading.goSite(reading.site, at));
  dragWindow(reading, canvas, null);
  figure.append(canvas, make("figcaption"));
  return figure;
}

function buildTile(reading, site) {
  const tile = make("button", "tile");
  tile.tabIndex = -1;
  tile.append(make("canvas"), make("b", "", site.short), make("span"));
  tile.title = site.words;
  tile.addEventListener("click", () => reading.goSite(site.name, reading.cell.at));
  return tile;
}

function buildValues(reading, field) {
  const row = make("div", "field");
  const { examples } = field;
  row.append(make("h3", "", reading.sheet.targets[field.target].words));
  const values = make("div", examples.length ? "values drawn" : "values");
  field.values.forEach((value, at) => {
    const button = make("button");
    button.tabIndex = -1;
    if (examples[at]) {
      const image = make("i", "example");
      image.style.backgroundPosition = `${examples[at][0]}% ${examples[at][1]}%`;
      button.append(image);
    }
    button.append(make("b", "", (field.keys[at] || "").toUpperCase()));
    button.append(make("span", "", reading.sheet.targets[field.target].values[field.allValues.indexOf(value)]));
    button.addEventListener("click", () => reading.type(field, value));
    values.append(button);
  });
  row.append(values);
  return row;
}

function drawCase(reading) {
  if (byId("message").dataset.opening) say("");
  for (const picture of reading.pictures) picture.show(reading.level, reading.width);
  drawHeader(reading);
  drawPictures(reading);
  drawValues(reading);
  if (reading.case.pictures.some((picture) => picture.spots)) {
    drawJoints(reading);
    drawTiles(reading);
  }
}

function drawHeader(reading) {
  const { sheet, answers } = reading;
  const all = sheet.cases.flatMap((each) =>
    each.pictures.map((picture) => answers.isDone(picture, sheet.groups[each.group].fields)));
  const done = all.filter(Boolean).length;
  byId("progress").max = all.length;
  byId("progress").value = done;
  byId("done").textContent = `${done} of ${all.length} ${sheet.noun} done`;
  byId("number").textContent = `${reading.caseAt + 1} / ${sheet.cases.length}`;
  const kept = byId("kept");
  kept.textContent = answers.saved ? "kept in this browser" : "NOT kept: this browser stores nothing. Export before you close the page.";
  kept.className = answers.saved ? "" : "warning";
  const isDone = reading.isCaseDone(reading.case);
  byId("end").hidden = !isDone || done < all.length;
  byId("finished").hidden = !isDone || done === all.length;
}

function fit(canvas, width, height) {
  const ratio = window.devicePixelRatio || 1;
  const [columns, rows] = [Math.max(1, Math.round(width * ratio)), Math.max(1, Math.round(height * ratio))];
  if (canvas.width !== columns || canvas.height !== rows) Object.assign(canvas, { width: columns, height: rows });
}

function drawPictures(reading) {
  reading.pictures.forEach((picture, at) => {
    const { canvas } = reading.viewers[at];
    fit(canvas, canvas.clientWidth, canvas.clientHeight);
    const context = reading.viewers[at].draw(picture);
    const isRead = at === reading.cell.at;
    canvas.parentElement.classList.toggle("read", isRead && reading.pictures.length > 1);
    const whole = picture.about.title ? describe(reading, picture.about, "") : "";
    canvas.parentElement.querySelector("figcaption").textContent = whole ? `${picture.about.title}: ${whole}` : picture.about.title;
    canvas.classList.toggle("moving", reading.moving && isRead);
    const spot = reading.site && reading.answers.spot(picture.about, reading.site);
    if (spot) drawBox(context, picture.about, spot, isRead, reading.viewers[at].place(picture.about).scale);
  });
}

function drawBox(context, about, spot, isRead, scale) {
  context.lineWidth = 1.5 / scale;
  context.strokeStyle = isRead ? "#ffd23f" : "#8aa0aa";
  const side = about.sidePx;
  context.translate(spot[0], spot[1]);
  context.rotate((spot[2] * Math.PI) / 180);
  context.strokeRect(-side / 2, -side / 2, side, side);
}

function drawValues(reading) {
  const { site, field, picture } = reading.cell;
  const fields = reading.fields.filter((each) => each.site === site && (!each.where || reading.visibleExtras.includes(each)));
  const key = `${reading.caseAt} ${fields.map((each) => each.target + each.site).join(" ")}`;
  if (byId("typed").dataset.shown !== key || !byId("typed").children.length) {
    byId("typed").dataset.shown = key;
    byId("typed").replaceChildren(...fields.map((each) => buildValues(reading, each)));
  }
  const assessable = reading.answers.isAssessable(picture, site);
  byId("typed").classList.toggle("refused", !assessable);
  [...byId("typed").children].forEach((row, number) => {
    const each = fields[number];
    row.classList.toggle("read", each === field);
    [...row.querySelectorAll("button")].forEach((button, at) => {
      button.classList.toggle("chosen", assessable && reading.answers.value(picture, each) === each.values[at]);
    });
  });
  byId("acts").hidden = !reading.site;
  byId("refuse").hidden = !reading.sheet.assessable;
  byId("refuse").classList.toggle("chosen", !assessable);
  byId("move").classList.toggle("chosen", reading.moving);
  byId("fill").hidden = reading.fields.every((each) => each.usual === null);
}

function describe(reading, picture, site) {
  if (!reading.answers.isAssessable(picture, site)) return "n.a.";
  const fields = reading.fields.filter((field) => field.site === site && !field.where);
  return fields.map((field) => reading.answers.value(picture, field) ?? "·").join(" | ");
}

function drawJoints(reading) {
  const { site } = reading;
  byId("joint").hidden = !site;
  if (!site) return;
  const known = reading.sheet.groups[reading.case.group].sites.find((each) => each.name === site);
  [...byId("joint").children].forEach((figure, at) => {
    const picture = reading.pictures[at];
    const spot = reading.answers.spot(picture.about, site);
    const canvas = figure.querySelector("canvas");
    fit(canvas, canvas.clientWidth, canvas.clientHeight);
    drawJoint(canvas, picture, spot, picture.about.sidePx, WIDER);
    const isRead = at === reading.cell.at;
    figure.classList.toggle("read", isRead && reading.pictures.length > 1);
    figure.classList.toggle("without", !spot);
    const several = reading.pictures.length > 1 ? `, ${picture.about.title} ${describe(reading, picture.about, site)}` : "";
    const missing = spot ? "" : " not located: press M, then click on it";
    figure.querySelector("figcaption").textContent =
      reading.moving && isRead ? "Click on the joint in the film (Esc: leave it)" : known.words + several + missing;
  });
}

function drawTiles(reading) {
  const at = reading.cell.at;
  const picture = reading.pictures[at];
  const sites = reading.sheet.groups[reading.case.group].sites;
  [...byId("joints").children].forEach((tile, number) => {
    const site = sites[number].name;
    const canvas = tile.querySelector("canvas");
    fit(canvas, canvas.clientWidth, canvas.clientHeight);
    drawJoint(canvas, picture, reading.answers.spot(picture.about, site), picture.about.sidePx, WIDER);
    tile.classList.toggle("read", site === reading.site);
    const typed = reading.fields.filter((field) => field.site === site);
    const isDone = typed.length > 0 && reading.answers.isDone(picture.about, typed);
    tile.classList.toggle("done", isDone);
    tile.querySelector("span").textContent = typed.length ? describe(reading, picture.about, site) : "";
  });
  const read = byId("joints").querySelector(".read");
  if (read) read.scrollIntoView({ block: "nearest" });
}

function start() {
  if (typeof DecompressionStream === "undefined") {
    say("This browser is too old for this page. Open it with Edge, Chrome or Firefox of 2023 or later.");
    return;
  }
  const reading = new Reading(JSON.parse(byId("sheet").textContent));
  reading.openCase(reading.caseAt, reading.cellAt);
}

start();
