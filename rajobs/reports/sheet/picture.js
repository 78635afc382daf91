// Pictures: grey values unpacked from the page, seen through a window; and loops, which play.

// What `reading_pictures.pack` packed: bytes deflated in base64 -> values, row by row.
async function unpackGrey(text, rows, columns) {
  const packed = Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
  const stream = new Blob([packed]).stream().pipeThrough(new DecompressionStream("deflate"));
  const planes = new Uint8Array(await new Response(stream).arrayBuffer());
  const count = rows * columns;
  const values = new Uint16Array(count);
  for (let at = 0; at < count; at++) {
    const folded = planes[at] | (planes[count + at] << 8);
    const difference = (folded >> 1) ^ -(folded & 1);
    const column = at % columns;
    let guess = 0;
    if (at >= columns && column > 0) guess = (values[at - 1] + values[at - columns]) >> 1;
    else if (at >= columns) guess = values[at - columns];
    else if (column > 0) guess = values[at - 1];
    values[at] = guess + difference;
  }
  return values;
}

// A film or hand: `canvas` shows its values between `low` (black) and `high` (white).
class GreyPicture {
  constructor(about, values) {
    this.about = about;
    this.values = values;
    this.canvas = document.createElement("canvas");
    this.canvas.width = about.columns;
    this.canvas.height = about.rows;
    this.context = this.canvas.getContext("2d");
    this.image = this.context.createImageData(about.columns, about.rows);
    this.shown = "";
  }

  static async read(about) {
    const text = document.getElementById(`picture-${about.number}`).textContent;
    return new GreyPicture(about, await unpackGrey(text, about.rows, about.columns));
  }

  // The window is relative to the one that the picture comes with, so that one drag fits all visits of a patient.
  show(level, width) {
    const [low, high] = this.window(level, width);
    const key = `${low} ${high}`;
    if (key === this.shown) return;
    this.shown = key;
    const greys = new Uint32Array(65536);
    for (let value = 0; value < 65536; value++) {
      const grey = Math.max(0, Math.min(255, Math.round((255 * (value - low)) / (high - low))));
      greys[value] = 0xff000000 | (grey << 16) | (grey << 8) | grey;
    }
    const pixels = new Uint32Array(this.image.data.buffer);
    for (let at = 0; at < pixels.length; at++) pixels[at] = greys[this.values[at]];
    this.context.putImageData(this.image, 0, 0);
  }

  window(level, width) {
    const range = this.about.high - this.about.low;
    const middle = this.about.low + range * (0.5 + level);
    return [middle - (range * width) / 2, middle + (range * width) / 2];
  }

  get source() {
    return this.canvas;
  }
}

// A scan: its frames one after the other, or one frame alone.
class LoopPicture {
  constructor(about, frames) {
    this.about = about;
    this.frames = frames;
    this.at = about.first;
    this.playing = frames.length > 1;
  }

  static async read(about) {
    const lines = document.getElementById(`picture-${about.number}`).textContent.trim().split("\n");
    const frames = lines.map((line) => {
      const image = new Image();
      image.src = line;
      return image;
    });
    await Promise.all(frames.map((image) => image.decode()));
    return new LoopPicture(about, frames);
  }

  show() {}

  step(by) {
    this.at = (this.at + by + this.frames.length) % this.frames.length;
  }

  get source() {
    return this.frames[this.at];
  }
}

// The pictures of the case that is read and of the next one; the others stay packed.
class PictureShelf {
  constructor() {
    this.waiting = new Map();
  }

  async of(pictures, next) {
    const wanted = new Set([...pictures, ...next].map((about) => about.number));
    for (const number of [...this.waiting.keys()]) if (!wanted.has(number)) this.waiting.delete(number);
    const read = await Promise.all(pictures.map((about) => this.read(about)));
    next.forEach((about) => this.read(about));
    return read;
  }

  read(about) {
    if (!this.waiting.has(about.number)) {
      this.waiting.set(about.number, about.kind === "loop" ? LoopPicture.read(about) : GreyPicture.read(about));
    }
    return this.waiting.get(about.number);
  }
}

// A picture fitted into a canvas, then zoomed and moved by the reader: the map from picture to canvas.
class Viewer {
  constructor(canvas) {
    this.canvas = canvas;
    this.reset();
  }

  reset() {
    this.zoom = 1;
    this.aside = [0, 0];
  }

  place(about) {
    const fit = Math.min(this.canvas.width / about.columns, this.canvas.height / about.rows);
    const scale = fit * this.zoom;
    const left = (this.canvas.width - about.columns * scale) / 2 + this.aside[0];
    const top = (this.canvas.height - about.rows * scale) / 2 + this.aside[1];
    return { scale, left, top };
  }

  toPicture(about, x, y) {
    const { scale, left, top } = this.place(about);
    return [(x - left) / scale, (y - top) / scale];
  }

  zoomAt(about, factor, x, y) {
    const [column, row] = this.toPicture(about, x, y);
    this.zoom = Math.max(1, Math.min(12, this.zoom * factor));
    if (this.zoom === 1) this.aside = [0, 0];
    const { scale, left, top } = this.place(about);
    this.aside = [this.aside[0] + x - (left + column * scale), this.aside[1] + y - (top + row * scale)];
  }

  draw(picture) {
    const context = this.canvas.getContext("2d");
    const { scale, left, top } = this.place(picture.about);
    context.setTransform(1, 0, 0, 1, 0, 0);
    context.fillStyle = "#000";
    context.fillRect(0, 0, this.canvas.width, this.canvas.height);
    context.imageSmoothingQuality = "high";
    context.setTransform(scale, 0, 0, scale, left, top);
    context.drawImage(picture.source, 0, 0, picture.about.columns, picture.about.rows);
    return context;
  }
}

// A joint with its finger upright; `spot` is its column, row and angle, and `side` that of its box, in the picture.
function drawJoint(canvas, picture, spot, side, wider) {
  const context = canvas.getContext("2d");
  context.setTransform(1, 0, 0, 1, 0, 0);
  context.fillStyle = "#000";
  context.fillRect(0, 0, canvas.width, canvas.height);
  if (!spot) return;
  const scale = Math.min(canvas.width, canvas.height) / (side * wider);
  context.imageSmoothingQuality = "high";
  context.translate(canvas.width / 2, canvas.height / 2);
  context.rotate((-spot[2] * Math.PI) / 180);
  context.scale(scale, scale);
  context.translate(-spot[0], -spot[1]);
  context.drawImage(picture.source, 0, 0);
}
