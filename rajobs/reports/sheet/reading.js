// The page: one case at a time (a patient's hand at all visits, a film or a scan), typed by keys.

const WIDER = 1.25; // a joint is shown with so much around its box
const FEW = 4; // a case with so few fields goes on by itself when the last one is typed

class Reading {
  constructor(sheet) {
    this.sheet = sheet;
    this.answers = new Answers(sheet);
    this.shelf = new PictureShelf();
    this.pictures = [];
    this.level = 0;
    this.width = 1;
    this.moving = false;
    [this.caseAt, this.cellAt] = this.answers.cursor;
    if (this.caseAt >= sheet.cases.length) [this.caseAt, this.cellAt] = [0, 0];
    this.listen();
  }

  get case() {
    return this.sheet.cases[this.caseAt];
  }

  get fields() {
    return this.sheet.groups[this.case.group].fields;
  }

  get cells() {
    return this.cellsOf(this.case);
  }

  // In the method's order: joint by joint, at each joint visit by visit.
  cellsOf(each) {
    const fields = this.sheet.groups[each.group].fields.filter((field) => !field.where);
    const cells = [];
    for (const site of new Set(fields.map((field) => field.site))) {
      each.pictures.forEach((picture, at) => {
        for (const field of fields) if (field.site === site) cells.push({ picture, at, field, site });
      });
    }
    return cells;
  }

  get cell() {
    return this.cells[this.cellAt];
  }

  // Which joint is shown large: that of the field, or one that was clicked where fields have no joint.
  get site() {
    return this.cell.site || this.looked || "";
  }

  async openCase(at, cellAt) {
    const changed = at !== this.caseAt || !this.pictures.length;
    this.caseAt = at;
    this.cellAt = cellAt;
    this.moving = false;
    if (changed) {
      this.looked = "";
      const next = this.sheet.cases[at + 1];
      const pictures = this.shelf.of(this.case.pictures, next ? next.pictures : []);
      buildCase(this);
      this.pictures = [];
      this.pictures = await pictures;
      if (this.caseAt !== at) return;
    }
    this.keepCursor();
    this.draw();
  }

  keepCursor() {
    this.answers.cursor = [this.caseAt, this.cellAt];
    this.answers.save();
  }

  go(cellAt) {
    this.cellAt = Math.max(0, Math.min(this.cells.length - 1, cellAt));
    this.moving = false;
    this.keepCursor();
    this.draw();
  }

  // Up and down: the same field at the joint before or after.
  goJoint(by) {
    const sites = [...new Set(this.cells.map((cell) => cell.site))];
    const site = sites[sites.indexOf(this.cell.site) + by];
    if (site === undefined) return;
    const same = (cell) => cell.site === site && cell.at === this.cell.at;
    const exact = this.cells.findIndex((cell) => same(cell) && cell.field.target === this.cell.field.target);
    this.go(exact >= 0 ? exact : this.cells.findIndex(same));
  }

  goSite(site, at) {
    const cellAt = this.cells.findIndex((cell) => cell.site === site && cell.at === at);
    if (cellAt >= 0) this.go(cellAt);
    else {
      this.looked = site;
      this.go(this.cells.findIndex((cell) => cell.at === at));
    }
  }

  goCase(by) {
    const at = this.caseAt + by;
    if (at >= 0 && at < this.sheet.cases.length) this.openCase(at, 0);
  }

  // The next case with something open, from here on and then from the beginning.
  goOpen() {
    const count = this.sheet.cases.length;
    for (let step = 1; step <= count; step++) {
      const at = (this.caseAt + step) % count;
      if (!this.isCaseDone(this.sheet.cases[at])) return this.openCase(at, 0);
    }
    return this.goCase(1);
  }

  isCaseDone(each) {
    return each.pictures.every((picture) => this.answers.isDone(picture, this.sheet.groups[each.group].fields));
  }

  get visibleExtras() {
    const { picture } = this.cell;
    return this.fields.filter((field) => field.where && this.answers.isVisible(picture, field, this.fields));
  }

  type(field, value) {
    const { picture, site } = this.cell;
    const key = (target) => Answers.key(picture, site, target);
    const changes = [["values", Answers.key(picture, field.site, field.target), value]];
    if (!this.answers.isAssessable(picture, site)) changes.push(["values", key(this.sheet.assessable), undefined]);
    this.answers.change([this.caseAt, this.cellAt], changes);
    if (field.where) return this.draw();
    const cellAt = this.cells.findIndex((cell) => cell.picture === picture && cell.field === field);
    const isLast = cellAt === this.cells.length - 1;
    if (isLast && this.cells.length <= FEW && this.isCaseDone(this.case) && !this.visibleExtras.length) {
      return this.caseAt + 1 < this.sheet.cases.length ? this.goCase(1) : this.draw();
    }
    return this.go(cellAt + 1);
  }

  clear() {
    const { picture, field } = this.cell;
    this.answers.change([this.caseAt, this.cellAt], [["values", Answers.key(picture, field.site, field.target), undefined]]);
    this.draw();
  }

  refuse(whole) {
    const { picture, site } = this.cell;
    if (!this.sheet.assessable || !site) return;
    const isOpen = (each) =>
      this.fields.some((field) => field.site === each && this.answers.value(picture, field) === undefined);
    const sites = whole ? [...new Set(this.fields.map((field) => field.site))].filter(isOpen) : [site];
    const was = this.answers.isAssessable(picture, site) || whole;
    this.answers.change(
      [this.caseAt, this.cellAt],
      sites.map((each) => ["values", Answers.key(picture, each, this.sheet.assessable), was ? NOT_ASSESSABLE : undefined]),
    );
    const last = this.cells.findLastIndex((cell) => cell.site === site && cell.picture === picture);
    this.go(whole || !was ? this.cellAt : last + 1);
  }

  fill() {
    const { picture } = this.cell;
    const open = this.fields.filter(
      (field) =>
        field.usual !== null && this.answers.isAssessable(picture, field.site) &&
        this.answers.value(picture, field) === undefined,
    );
    if (!open.length) return;
    this.answers.change(
      [this.caseAt, this.cellAt],
      open.map((field) => ["values", Answers.key(picture, field.site, field.target), field.usual]),
    );
    this.draw();
  }

  undo() {
    const cursor = this.answers.undo();
    if (cursor) this.openCase(cursor[0], cursor[1]);
  }

  // The next click on the hand says where the joint is.
  startMoving() {
    if (!this.site || !this.cell.picture.spots) return;
    this.moving = !this.moving;
    this.draw();
  }

  moveBox(picture, column, row) {
    this.answers.change([this.caseAt, this.cellAt], [["places", Answers.key(picture, this.site, "place"), [column, row]]]);
    this.moving = false;
    this.draw();
  }

  resetView() {
    this.level = 0;
    this.width = 1;
    this.viewers.forEach((viewer) => viewer.reset());
    this.draw();
  }

  export() {
    const link = document.createElement("a");
    link.href = URL.createObjectURL(new Blob([this.answers.csv()], { type: "text/csv" }));
    link.download = this.sheet.file;
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 1000);
    say(`${this.sheet.file}: ${this.answers.rows().length} labels`);
  }

  listen() {
    document.addEventListener("keydown", (event) => this.press(event));
    window.addEventListener("resize", () => this.draw());
    window.addEventListener("beforeunload", (event) => {
      if (!this.answers.saved) event.preventDefault();
    });
    const onClick = { export: () => this.export(), keys: () => toggleKeys(), undo: () => this.undo(),
      previous: () => this.goCase(-1), next: () => this.goCase(1), open: () => this.goOpen(),
      refuse: () => this.refuse(false), move: () => this.startMoving(), fill: () => this.fill() };
    for (const [id, act] of Object.entries(onClick)) {
      document.getElementById(id).addEventListener("click", (event) => {
        event.currentTarget.blur();
        act();
      });
    }
    setInterval(() => this.play(), 90);
  }

  press(event) {
    // A score typed before its picture is drawn would be a guess; paging on is none.
    if (!this.pictures.length && !event.key.startsWith("Page")) return;
    if ((event.ctrlKey || event.metaKey) && event.key.toLowerCase() === "z") this.undo();
    else if (event.ctrlKey || event.metaKey || event.altKey) return;
    else {
      const field = this.cell.field;
      const at = field.keys.indexOf(event.key.toLowerCase());
      const act = this.acts[event.key.length === 1 ? event.key.toLowerCase() : event.key];
      if (at >= 0) this.type(field, field.values[at]);
      else if (act) act(event);
      else return;
    }
    event.preventDefault();
  }

  get acts() {
    return {
      ArrowLeft: () => this.go(this.cellAt - 1),
      ArrowRight: () => this.go(this.cellAt + 1),
      ArrowUp: () => this.goJoint(-1),
      ArrowDown: () => this.goJoint(1),
      PageUp: () => this.goCase(-1),
      PageDown: () => this.goCase(1),
      Enter: () => this.goOpen(),
      Backspace: () => this.clear(),
      Delete: () => this.clear(),
      Escape: () => this.escape(),
      n: (event) => this.refuse(event.shiftKey),
      f: () => this.fill(),
      m: () => this.startMoving(),
      u: () => this.undo(),
      r: () => this.resetView(),
      h: () => toggleKeys(),
      "?": () => toggleKeys(),
      "+": () => this.zoom(1.25),
      "-": () => this.zoom(0.8),
      " ": () => this.pause(),
      ",": () => this.stepFrame(-1),
      ".": () => this.stepFrame(1),
    };
  }

  escape() {
    this.moving = false;
    toggleKeys(false);
    this.draw();
  }

  // Around the joint that is read.
  zoom(factor) {
    this.viewers.forEach((viewer, at) => {
      const { about } = this.pictures[at];
      const [column, row] = this.answers.spot(about, this.site) || [about.columns / 2, about.rows / 2];
      const { scale, left, top } = viewer.place(about);
      viewer.zoomAt(about, factor, left + column * scale, top + row * scale);
    });
    this.draw();
  }

  pause() {
    for (const picture of this.pictures) if (picture.frames) picture.playing = !picture.playing;
  }

  stepFrame(by) {
    for (const picture of this.pictures) {
      if (!picture.frames) continue;
      picture.playing = false;
      picture.step(by);
    }
    drawPictures(this);
  }

  play() {
    const playing = this.pictures.filter((picture) => picture.playing);
    playing.forEach((picture) => picture.step(1));
    if (playing.length) drawPictures(this);
  }

  draw() {
    if (!this.pictures.length || this.waiting) return;
    this.waiting = true;
    requestAnimationFrame(() => {
      this.waiting = false;
      if (this.pictures.length) drawCase(this);
    });
  }
}
