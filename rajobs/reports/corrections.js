
"use strict";
// Below a picture: a label's line made of what a reader picks, and copied. A page opened from a file may have no
// clipboard; then the line stays selected for the reader to copy.
for (const box of document.querySelectorAll(".wrong")) {
  const [what, right] = box.querySelectorAll("select");
  const line = box.querySelector("input"), button = box.querySelector("button");
  const write = () => {
    line.value = what.selectedOptions[0].dataset.start + right.value;
    line.scrollLeft = line.scrollWidth;
    button.textContent = "Copy";
  };
  const offer = () => {
    const chosen = what.selectedOptions[0].dataset;
    right.replaceChildren(...chosen.values.split("|").map((value) => new Option(value, value)));
    right.value = chosen.answer || right.options[0].value;
    write();
  };
  const report = (copied) => { button.textContent = copied ? "Copied" : "Selected: copy it by keyboard"; };
  what.addEventListener("change", offer);
  right.addEventListener("change", write);
  button.addEventListener("click", () => {
    line.select();
    if (navigator.clipboard) {
      navigator.clipboard.writeText(line.value).then(() => report(true), () => report(document.execCommand("copy")));
    } else {
      report(document.execCommand("copy"));
    }
  });
  offer();
}
