"use strict";
(function () {
  const table = document.querySelector("#verdicts table");
  const body = table.tBodies[0];
  const rows = Array.from(body.rows);
  const words = document.getElementById("words");
  const verdict = document.getElementById("verdict");
  const shown = document.getElementById("shown");
  function filter() {
    const wanted = words.value.toLowerCase().split(/\s+/).filter(Boolean);
    let count = 0;
    for (const row of rows) {
      const right = !verdict.value || row.dataset.verdict === verdict.value;
      row.hidden = !(right && wanted.every((word) => row.dataset.words.includes(word)));
      count += row.hidden ? 0 : 1;
    }
    shown.textContent = count === rows.length ? "" : count + " of " + rows.length;
  }
  Array.from(table.tHead.rows[0].cells).forEach(function (cell, column) {
    const button = document.createElement("button");
    button.type = "button";
    button.append(...cell.childNodes);
    cell.append(button);
    button.addEventListener("click", function () {
      const down = cell.getAttribute("aria-sort") === "ascending";
      for (const other of table.tHead.rows[0].cells) other.removeAttribute("aria-sort");
      cell.setAttribute("aria-sort", down ? "descending" : "ascending");
      const text = (row) => row.cells[column].textContent;
      rows.sort((a, b) => text(a).localeCompare(text(b)) * (down ? -1 : 1));
      body.append(...rows);
    });
  });
  words.addEventListener("input", filter);
  verdict.addEventListener("change", filter);
  words.form.addEventListener("submit", (event) => event.preventDefault());
  words.form.hidden = false;
  addEventListener("hashchange", function () {  // an entry's proof opens where its link was followed to a step
    const inside = location.hash && document.querySelector(location.hash);
    if (inside && inside.closest("details")) inside.closest("details").open = true;
  });
})();
