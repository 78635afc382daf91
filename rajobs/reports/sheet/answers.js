// What the reader has typed: kept in the browser with every key, taken back step by step, exported as a label CSV.

const NOT_ASSESSABLE = "0";
const ASSESSABLE = "1";

// As records/tables/csv_files.py does: Excel would run such a cell as a formula. A number is none.
const escapeCell = (cell) => {
  const isNumber = /^[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?$/.test(cell);
  return /^'*[=+\-@\t\r]/.test(cell) && !isNumber ? `'${cell}` : cell;
};

class Answers {
  constructor(sheet) {
    this.sheet = sheet;
    this.name = `rajobs-sheet-${sheet.id}`;
    this.values = {};
    this.places = {};
    this.cursor = [0, 0];
    this.steps = [];
    this.saved = true;
    this.read();
  }

  // A step is taken back as a whole, and the cursor goes back with it.
  change(cursor, changes) {
    const before = [];
    for (const [store, key, value] of changes) {
      before.push([store, key, this[store][key]]);
      this.put(store, key, value);
    }
    this.steps.push({ cursor: [...cursor], before });
    this.save();
  }

  undo() {
    const step = this.steps.pop();
    if (!step) return null;
    for (const [store, key, value] of step.before.reverse()) this.put(store, key, value);
    this.save();
    return step.cursor;
  }

  put(store, key, value) {
    if (value === undefined) delete this[store][key];
    else this[store][key] = value;
  }

  static key(picture, site, target) {
    return [picture.image, picture.side || "", site, target].join("|");
  }

  value(picture, field) {
    return this.values[Answers.key(picture, field.site, field.target)];
  }

  isAssessable(picture, site) {
    const key = Answers.key(picture, site, this.sheet.assessable);
    return !this.sheet.assessable || !site || this.values[key] !== NOT_ASSESSABLE;
  }

  // Column and row in the picture: where the reader has moved the box, else where it was.
  spot(picture, site) {
    const was = (picture.spots || {})[site];
    const moved = this.places[Answers.key(picture, site, "place")];
    return moved ? [moved[0], moved[1], was ? was[2] : picture.angle] : was;
  }

  isDone(picture, fields) {
    return fields.every(
      (field) => field.where || !this.isAssessable(picture, field.site) || this.value(picture, field) !== undefined,
    );
  }

  read() {
    try {
      const kept = JSON.parse(localStorage.getItem(this.name) || "{}");
      this.values = kept.values || {};
      this.places = kept.places || {};
      this.cursor = kept.cursor || [0, 0];
    } catch (error) {
      this.saved = false;
    }
  }

  save() {
    try {
      const kept = { values: this.values, places: this.places, cursor: this.cursor };
      localStorage.setItem(this.name, JSON.stringify(kept));
      this.saved = true;
    } catch (error) {
      this.saved = false;
    }
  }

  rows() {
    const rows = [];
    for (const each of this.sheet.cases) {
      for (const picture of each.pictures) rows.push(...this.rowsOf(picture, this.sheet.groups[each.group].fields));
    }
    return rows;
  }

  rowsOf(picture, fields) {
    const { study, reader, assessable, placesStudy, onlyPlaces } = this.sheet;
    const rows = [];
    const add = (ofStudy, target, site, value) =>
      rows.push([picture.image, picture.side || "", ofStudy, target, site, value, reader]);
    for (const site of new Set(fields.map((field) => field.site))) {
      const ofSite = fields.filter((field) => field.site === site && this.isVisible(picture, field, fields));
      const typed = ofSite.filter((field) => this.value(picture, field) !== undefined);
      const scored = this.isAssessable(picture, site);
      let placed = this.places[Answers.key(picture, site, "place")] !== undefined;
      if (scored) {
        for (const field of typed) {
          const isPlace = onlyPlaces && this.value(picture, field) === "1";
          if (isPlace) placed = this.spot(picture, site) !== undefined;
          else add(study, field.target, site, this.value(picture, field));
          if (onlyPlaces && !isPlace) placed = false;
        }
      }
      if (assessable && site && (typed.length || !scored)) {
        add(study, assessable, site, scored ? ASSESSABLE : NOT_ASSESSABLE);
      }
      if (placed) {
        const [x, y] = this.onFilm(picture, site);
        add(placesStudy, "x", site, x.toFixed(1));
        add(placesStudy, "y", site, y.toFixed(1));
      }
    }
    return rows;
  }

  isVisible(picture, field, fields) {
    if (!field.where) return true;
    return Object.entries(field.where).every(([target, value]) => {
      const other = fields.find((each) => each.target === target && each.site === field.site);
      return other && this.value(picture, other) === value;
    });
  }

  onFilm(picture, site) {
    const [column, row] = this.spot(picture, site);
    const [[a, b, c], [d, e, f]] = picture.toFilm;
    return [a * column + b * row + c, d * column + e * row + f];
  }

  csv() {
    const header = ["image", "side", "study", "target", "site", "value", "reader"];
    return [header, ...this.rows()].map((row) => row.map(escapeCell).join(",")).join("\n") + "\n";
  }
}
