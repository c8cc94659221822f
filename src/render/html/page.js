"use strict";
// Search and filters. The page is whole without it.
(() => {
  const all = (selector) => Array.from(document.querySelectorAll(selector));
  const form = document.getElementById("filters");
  // Without anything to filter there is no form.
  if (form === null) return;
  const search = document.getElementById("search");
  const pictured = document.getElementById("pictured");
  const told = document.getElementById("told");
  const kinds = all("input[data-kind]");
  const sections = all("section[data-section]").map((element) => ({
    element,
    cards: Array.from(element.querySelectorAll(".card")).map((card) => ({
      card,
      kind: card.dataset.kind,
      pictured: card.querySelector(".faces") !== null,
      text: null,
    })),
  }));
  const total = sections.reduce((sum, section) => sum + section.cards.length, 0);

  const text = (entry) => {
    if (entry.text === null) entry.text = entry.card.textContent.toLowerCase();
    return entry.text;
  };

  const apply = () => {
    const words = search.value.toLowerCase().split(/\s+/).filter(Boolean);
    const on = new Set(kinds.filter((box) => box.checked).map((box) => box.dataset.kind));
    let count = 0;
    for (const section of sections) {
      let here = 0;
      for (const entry of section.cards) {
        const shown =
          on.has(entry.kind) &&
          (!pictured.checked || entry.pictured) &&
          words.every((word) => text(entry).includes(word));
        entry.card.hidden = !shown;
        if (shown) here += 1;
      }
      section.element.hidden = here === 0;
      count += here;
    }
    told.textContent = `${count.toLocaleString("en")} of ${total.toLocaleString("en")} shown`;
  };

  let waiting = 0;
  const soon = () => {
    clearTimeout(waiting);
    waiting = setTimeout(apply, 80);
  };
  search.addEventListener("input", soon);
  search.addEventListener("keydown", (event) => {
    if (event.key === "Escape" && search.value !== "") {
      event.preventDefault();
      search.value = "";
      apply();
    }
  });
  document.addEventListener("keydown", (event) => {
    const typing = event.target instanceof HTMLElement && event.target.matches("input[type=search]");
    if (event.key === "/" && !typing && !event.ctrlKey && !event.metaKey && !event.altKey) {
      event.preventDefault();
      search.focus();
      search.select();
    }
  });
  form.addEventListener("change", apply);
  form.addEventListener("submit", (event) => event.preventDefault());
  // The boxes have their first values only after the event.
  form.addEventListener("reset", () => setTimeout(apply, 0));
  form.hidden = false;
  // What the browser kept over a reload counts.
  apply();
})();
