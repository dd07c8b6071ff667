// Pages work without this file; it only makes some things quicker.
"use strict";

// Ask before what cannot be undone.
document.addEventListener("submit", (event) => {
  const question = event.target.dataset.confirm;
  if (question && !window.confirm(question)) {
    event.preventDefault();
    return;
  }
  // A double click sends a form once.
  if (event.target.method === "post") {
    if (event.target.dataset.sent) {
      event.preventDefault();
      return;
    }
    event.target.dataset.sent = "1";
    window.setTimeout(() => delete event.target.dataset.sent, 4000);
  }
});

// Filters apply as they are chosen.
document.querySelectorAll("form[data-auto]").forEach((form) => {
  form.addEventListener("change", () => form.requestSubmit());
});

// An order applies as it is chosen.
document.querySelectorAll("select[data-submit]").forEach((select) => {
  select.addEventListener("change", () => select.form.requestSubmit());
});

// Filters stand open beside the results where there is room.
const fold = document.querySelector("details.fold");
if (fold && window.matchMedia("(min-width: 62rem)").matches) {
  fold.open = true;
}

// Bring the first field with a problem into view.
const problem = document.querySelector(".has-problem");
if (problem) {
  const box = problem.querySelector("input:not([type=hidden]), select, textarea");
  (box || problem).focus();
}
