"use strict";
// Tables are sorted by a click on a column's head, and each of them can be saved as CSV. Without this script they are
// as complete; in print nothing of it shows.
const NUMBER = /^[<>≤≥]?\s*([+−-]?(?:\d[\d,]*)?(?:\.\d+)?(?:e[+-]?\d+)?)(?=$|[\s%(/±×])/i;
const THOUSANDS = /^[+-]?\d{1,3}(,\d{3})+(\.\d+)?$/;
const FORMULA = /^'*[=+\-@\t\r]/, PLAIN = /^[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?$/i;
const collator = new Intl.Collator("en", { numeric: true });
const textOf = (cell) => cell.textContent.trim().replaceAll("\u00a0", " ");
const isUnknown = (text) => text === "" || text === "–";

// The number that a cell begins with: of an interval the lower end, of "0.81 (0.75 to 0.87)" the figure.
function numberOf(text) {
  const digits = (NUMBER.exec(text)?.[1] ?? "").replaceAll(",", "").replace("−", "-");
  return /\d/.test(digits) ? Number(digits) : NaN;
}

// Rows that move together: one whose head is empty belongs to the row above it.
function groupRows(rows) {
  const groups = [];
  for (const row of rows) {
    if (groups.length && textOf(row.cells[0]) === "") groups.at(-1).push(row);
    else groups.push([row]);
  }
  return groups;
}

// The strong rows at a table's foot, which are sums, stay there.
function footOf(rows) {
  const last = rows.findLastIndex((row) => !row.classList.contains("strong"));
  return last < 0 ? [] : rows.slice(last + 1);
}

function sortedRows(rows, column, direction) {
  if (direction === "none") return rows;
  const foot = footOf(rows), groups = groupRows(rows.slice(0, rows.length - foot.length));
  const keyed = groups.map((group) => ({ group, text: textOf(group[0].cells[column]) }));
  const known = keyed.filter(({ text }) => !isUnknown(text)), unknown = keyed.filter(({ text }) => isUnknown(text));
  for (const each of known) each.number = numberOf(each.text);
  const byValue = known.every(({ number }) => !Number.isNaN(number));
  const compare = byValue ? (a, b) => a.number - b.number : (a, b) => collator.compare(a.text, b.text);
  known.sort(direction === "ascending" ? compare : (a, b) => compare(b, a));
  return [...known, ...unknown].flatMap(({ group }) => group).concat(foot);
}

function makeSortable(table) {
  const body = table.tBodies[0], heads = [...table.tHead.rows[0].cells], rows = [...body.rows];
  if (rows.length < 2) return;
  const next = { none: "ascending", ascending: "descending", descending: "none" };
  heads.forEach((head, column) => {
    const button = document.createElement("button");
    button.type = "button";
    button.append(...head.childNodes);
    head.append(button);
    head.setAttribute("aria-sort", "none");
    button.addEventListener("click", () => {
      const direction = next[head.getAttribute("aria-sort")];
      for (const each of heads) each.setAttribute("aria-sort", each === head ? direction : "none");
      body.append(...sortedRows(rows, column, direction));
    });
  });
}

// A cell as a spreadsheet takes it: numbers without separators, nothing for an unknown value, no formula.
function csvCell(cell) {
  const text = textOf(cell);
  if (text === "–") return "";
  const plain = text.replace(/^−/, "-");
  const value = THOUSANDS.test(plain) ? plain.replaceAll(",", "") : plain;
  const safe = FORMULA.test(value) && !PLAIN.test(value) ? `'${value}` : value;
  return /[",\n\r]/.test(safe) ? `"${safe.replaceAll('"', '""')}"` : safe;
}

function offerCsv(box) {
  const table = box.querySelector("table"), name = box.getAttribute("aria-label"), title = box.previousElementSibling;
  const button = document.createElement("button");
  button.type = "button";
  button.className = "csv";
  button.textContent = "CSV";
  button.setAttribute("aria-label", `Save as CSV: ${name}`);
  button.addEventListener("click", () => {
    const lines = [...table.rows].map((row) => [...row.cells].map(csvCell).join(",") + "\n");
    const link = document.createElement("a");
    link.href = URL.createObjectURL(new Blob(lines, { type: "text/csv" }));
    link.download = `${name.toLowerCase().replace(/[^a-z0-9]+/g, "-").replace(/^-|-$/g, "").slice(0, 60) || "table"}.csv`;
    link.click();
    URL.revokeObjectURL(link.href);
  });
  if (title?.tagName === "H3") title.append(" ", button);
  else box.after(button);
}

for (const box of document.querySelectorAll(".scroll")) {
  makeSortable(box.querySelector("table"));
  offerCsv(box);
}
