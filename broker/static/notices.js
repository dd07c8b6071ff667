// Following a notice marks it as read; without this file its own button does.
"use strict";

document.querySelectorAll("a[data-read]").forEach((link) => {
  link.addEventListener("click", () => {
    const form = document.getElementById(link.dataset.read);
    if (form) {
      navigator.sendBeacon(form.action, new FormData(form));
    }
  });
});
