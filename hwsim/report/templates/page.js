"use strict";
(() => {
  const charts = JSON.parse(document.getElementById("charts").textContent);
  const root = document.documentElement;
  const chosen = {};
  const INK = "#000000";
  let printing = false;
  // Plotly offers to send a chart to its makers: here nothing leaves the page.
  const CONFIG = {
    displaylogo: false, showSendToCloud: false, showEditInChartStudio: false,
    plotlyServerURL: "",
    modeBarButtonsToRemove: ["sendChartToCloud", "sendDataToCloud", "lasso2d", "select2d"],
  };

  const value = (name) => getComputedStyle(root).getPropertyValue(name).trim();

  // What Plotly takes from the page: its colours and its letters.
  function look() {
    const lines = { gridcolor: value("--grid"), linecolor: value("--line"), zerolinecolor: value("--line") };
    return {
      layout: {
        font: { color: value("--ink"), size: 12, family: getComputedStyle(document.body).fontFamily },
        paper_bgcolor: value("--paper"), plot_bgcolor: value("--plot"),
        xaxis: lines, yaxis: lines,
        hoverlabel: { bgcolor: value("--box"), bordercolor: value("--line"), font: { color: value("--ink") } },
        legend: { orientation: "h", xref: "container", yref: "container", x: 0, xanchor: "left", y: 1, yanchor: "top", maxheight: 0.6 },
        margin: { l: 56, r: 16, t: 24, b: 48 },
        modebar: { bgcolor: "rgba(0,0,0,0)", color: value("--soft"), activecolor: value("--ink") },
      },
    };
  }

  // What is black on paper is the ink of the page.
  function inked(part) {
    return JSON.parse(JSON.stringify(part).replaceAll(`"${INK}"`, `"${value("--ink")}"`));
  }

  // As wide as its place, or as paper. Beside the names of bars a narrow chart has room for one
  // entry of the legend in a row.
  function sizeOf(place, chart, data) {
    const paper = place.closest(".small") ? 330 : 680;
    const width = printing ? paper : place.clientWidth;
    const lying = data.some((trace) => trace.orientation === "h");
    const more = lying && width < 560 ? 19 * Math.max(0, data.length - 4) : 0;
    return { width, height: chart.height + more };
  }

  function draw(id) {
    const chart = charts[id];
    const key = chart.by.map((name) => chosen[name]).join("\n");
    const variant = chart.variants[key];
    const place = document.getElementById(id);
    const said = document.getElementById(id.replace("chart", "said"));
    said.textContent = variant ? variant.said || "" : "No price, no chart: choose another.";
    if (!variant) {
      Plotly.purge(place);
      return;
    }
    const data = inked(variant.data.map((own, at) => ({ ...chart.common[at], ...variant.each, ...own })));
    const size = sizeOf(place, chart, data);
    const layout = inked({ ...chart.layout, ...variant.layout, ...size, template: look() });
    // What a reader hid stays hidden, and what he zoomed into does until he chooses another.
    layout.uirevision = key;
    layout.legend = { ...layout.legend, uirevision: "kept" };
    for (const image of layout.images || []) image.source = chart.picture;
    place.setAttribute("aria-label", [chart.label, said.textContent].filter(Boolean).join(": "));
    place.style.height = `${size.height}px`;
    return Plotly.react(place, data, layout, CONFIG);
  }

  function drawAll() {
    for (const id of Object.keys(charts)) draw(id);
  }

  function show() {
    for (const element of document.querySelectorAll("[data-when]")) {
      const when = JSON.parse(element.dataset.when);
      element.hidden = !Object.entries(when).every(([name, wanted]) => chosen[name] === wanted);
    }
  }

  function choose(name, wanted) {
    chosen[name] = wanted;
    for (const select of document.querySelectorAll("select")) {
      if (select.dataset.choice === name) select.value = wanted;
    }
    show();
    for (const [id, chart] of Object.entries(charts)) if (chart.by.includes(name)) draw(id);
  }

  // Figures with separators and units, such as "2,177,855", "1.22x", "36 %"; of others the text.
  function sortedBy(cell) {
    const text = cell.textContent.trim();
    return { text, number: parseFloat(text.replaceAll(",", "")) };
  }

  function sort(head) {
    const body = head.closest("table").tBodies[0];
    const rising = head.getAttribute("aria-sort") !== "ascending";
    for (const other of head.parentNode.children) other.removeAttribute("aria-sort");
    head.setAttribute("aria-sort", rising ? "ascending" : "descending");
    const rows = [...body.rows].map((row) => [sortedBy(row.cells[head.cellIndex]), row]);
    const names = head.classList.contains("name");
    const order = rising ? 1 : -1;
    rows.sort(([a], [b]) => {
      if (names) return order * a.text.localeCompare(b.text, "en", { numeric: true });
      if (isNaN(a.number) || isNaN(b.number)) {
        // What is no figure stays below, whichever way the others go.
        return isNaN(a.number) - isNaN(b.number) || order * a.text.localeCompare(b.text, "en");
      }
      return order * (a.number - b.number);
    });
    body.append(...rows.map(([, row]) => row));
  }

  const dark = matchMedia("(prefers-color-scheme: dark)");
  const button = document.getElementById("theme");

  function isDark() {
    return root.dataset.theme ? root.dataset.theme === "dark" : dark.matches;
  }

  function themed() {
    button.textContent = isDark() ? "light" : "dark";
    button.setAttribute("aria-pressed", String(isDark()));
    button.setAttribute("aria-label", `switch to ${button.textContent} colours`);
    drawAll();
  }

  // Paper is white, and as wide as paper is.
  let before = "";
  addEventListener("beforeprint", () => {
    before = root.dataset.theme || "";
    root.dataset.theme = "light";
    printing = true;
    drawAll();
  });
  addEventListener("afterprint", () => {
    printing = false;
    if (before) root.dataset.theme = before;
    else delete root.dataset.theme;
    themed();
  });

  let width = innerWidth;
  let waiting = 0;
  addEventListener("resize", () => {
    clearTimeout(waiting);
    waiting = setTimeout(() => {
      if (innerWidth !== width && !printing) drawAll();
      width = innerWidth;
    }, 120);
  });

  Object.assign(chosen, JSON.parse(document.getElementById("chosen").textContent));
  for (const select of document.querySelectorAll("select")) {
    // Some browsers remember what was chosen when a page is loaded again.
    select.value = chosen[select.dataset.choice];
    select.addEventListener("change", () => choose(select.dataset.choice, select.value));
  }
  for (const head of document.querySelectorAll("thead th")) {
    head.firstElementChild.addEventListener("click", () => sort(head));
  }
  button.addEventListener("click", () => {
    root.dataset.theme = isDark() ? "light" : "dark";
    themed();
  });
  dark.addEventListener("change", themed);
  show();
  themed();
})();
