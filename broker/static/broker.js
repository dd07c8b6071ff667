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

// A post that is being written: kept while she types, looked at by the exchange, step by step.
const writing = document.querySelector("form[data-keep]");
if (writing) {
  const status = writing.querySelector(".kept-status");
  const panel = writing.querySelector("#advice");
  const say = (words) => {
    if (status.textContent !== words) status.textContent = words;
  };
  const timers = {};
  const later = (name, wait, task) => {
    window.clearTimeout(timers[name]);
    timers[name] = window.setTimeout(task, wait);
  };
  let sent = false;
  let unkept = false;
  let looking = null;

  // The session's token may be older than the session: the answer brings a new one, once.
  const post = async (address, options = {}, again = true) => {
    const answer = await fetch(address, {
      method: "POST",
      body: new FormData(writing),
      headers: { Accept: options.accept || "application/json" },
      signal: options.signal,
    });
    const token = answer.headers.get("X-Form-Token");
    if (answer.status === 400 && token && again) {
      writing.elements.csrf_token.value = token;
      return post(address, options, false);
    }
    return answer;
  };

  const keep = async () => {
    if (sent || !unkept) return;
    unkept = false;
    try {
      const answer = await post(writing.dataset.keep);
      if (sent) return;
      if (answer.status === 401) {
        unkept = true;
        say(writing.dataset.signedOut);
      } else if (answer.ok) {
        const told = await answer.json();
        const time = new Date().toLocaleTimeString(document.documentElement.lang, {
          hour: "2-digit",
          minute: "2-digit",
        });
        say(told.stale ? writing.dataset.stale : writing.dataset.kept.replace("{time}", time));
        if (window.location.pathname + window.location.search !== told.address) {
          window.history.replaceState(null, "", told.address + window.location.hash);
        }
      } else {
        unkept = true;
        say(writing.dataset.offline);
      }
    } catch {
      unkept = true;
      say(writing.dataset.offline);
    }
  };

  const look = async () => {
    if (sent) return;
    if (looking) looking.abort();
    looking = new AbortController();
    try {
      const answer = await post(writing.dataset.advice, { accept: "text/html", signal: looking.signal });
      // A button that she is about to press stays where it is.
      if (answer.ok && !panel.contains(document.activeElement)) {
        panel.innerHTML = await answer.text();
      }
    } catch {
      // The panel stays as it was; the next word asks again.
    }
  };

  const changed = () => {
    unkept = true;
    later("keep", 1500, keep);
    later("look", 1000, look);
  };
  writing.addEventListener("input", changed);
  writing.addEventListener("change", changed);
  writing.addEventListener("submit", () => {
    sent = true;
    if (looking) looking.abort();
  });
  window.addEventListener("pagehide", () => {
    if (unkept && !sent) navigator.sendBeacon(writing.dataset.keep, new FormData(writing));
  });
  window.addEventListener("pageshow", () => {
    sent = false;
  });

  // A suggestion is taken by a click: the box that it stands for is ticked.
  const take = (button) => {
    const [name, code] = button.value.split(":");
    let box = writing.querySelector(`input[name="${name}"][value="${code}"]`);
    if (name === "support_kinds") {
      box = writing.querySelector(`input[name^="support-"][name$="-kind"][value="${code}"]`);
    }
    if (box) box.checked = true;
    else if (writing.elements[name]) writing.elements[name].value = code;
    else return false;
    const line = button.closest("li");
    const next = line.nextElementSibling || line.previousElementSibling;
    say(writing.dataset.taken.replace("{name}", line.querySelector("span").firstChild.textContent.trim()));
    line.remove();
    const focus = next && next.querySelector("button");
    if (focus) focus.focus();
    unkept = true;
    later("keep", 1500, keep);
    return true;
  };

  const open = (id) => {
    const step = document.getElementById(id);
    if (!step) return null;
    if (step.tagName === "DETAILS") step.open = true;
    return step;
  };

  writing.addEventListener("click", (event) => {
    const button = event.target.closest("button");
    const link = event.target.closest("a[data-field]");
    if (button && button.name === "take" && take(button)) event.preventDefault();
    if (button && button.value === "suggest" && panel.contains(button)) {
      event.preventDefault();
      button.blur();
      look();
    }
    if (button && button.dataset.step) {
      const step = open(button.dataset.step);
      if (step) {
        event.preventDefault();
        const own = button.closest("details");
        if (own) own.open = false;
        step.scrollIntoView({ block: "start" });
        const first = step.querySelector("summary, input:not([type=hidden]), select, textarea");
        if (first) first.focus({ preventScroll: true });
        unkept = true;
        keep();
      }
    }
    // What the checklist names may lie in a step that is folded.
    if (link) {
      const field = document.getElementById(link.dataset.field) ||
        writing.querySelector(`[name="${link.dataset.field}"]`);
      const step = field && field.closest("details.section");
      if (step) step.open = true;
      if (field) {
        event.preventDefault();
        const box = field.type === "hidden" ? field.parentElement : field;
        box.scrollIntoView({ block: "center" });
        const control = box.matches("input, select, textarea") ? box : box.querySelector("input:not([type=hidden])");
        if (control) control.focus({ preventScroll: true });
      }
    }
  });
}

// An address that names a step opens it.
if (/^#step-\d+$/.test(window.location.hash)) {
  const step = document.querySelector(window.location.hash);
  if (step && step.tagName === "DETAILS") step.open = true;
}
