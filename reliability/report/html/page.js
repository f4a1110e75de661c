(() => {
  "use strict";
  const one = (query, inside = document) => inside.querySelector(query);
  const all = (query, inside = document) => [...inside.querySelectorAll(query)];
  const charts = JSON.parse(one("#chart-data").textContent);
  const form = one("#filters");
  const cases = all(".cases > tbody");
  const figures = all(".chart");
  const names = ["claim", "model", "recipe", "task", "gate"];

  // Filters: one state for the table, the charts and the pictures, kept in the address.
  const facetsOf = (element) =>
    element.dataset.chart
      ? charts[element.dataset.chart].facets
      : Object.fromEntries([...names, "outcome"].map((name) => [name, [element.dataset[name]]]));
  const described = new Map(
    [...cases, ...figures, ...all(".flips")].map((element) => [
      element,
      { facets: facetsOf(element), text: "" },
    ]),
  );
  const textOf = (element) => {
    const found = described.get(element);
    const shown = element.matches("tbody") ? element.rows[0] : element;
    found.text ||= [...Object.values(found.facets).flat(), shown.textContent].join(" ").toLowerCase();
    return found.text;
  };
  const fits = (wanted, value) =>
    wanted.endsWith("/*") ? value.startsWith(wanted.slice(0, -1)) : wanted === value;
  const passes = (element, state) => {
    const { facets } = described.get(element);
    return (
      names.every((name) => !state[name] || facets[name].some((value) => fits(state[name], value))) &&
      (!state.outcome.length || facets.outcome.some((value) => state.outcome.includes(value))) &&
      (!state.text || state.text.split(/\s+/).every((word) => textOf(element).includes(word)))
    );
  };
  const read = () => {
    const given = new FormData(form);
    const state = Object.fromEntries(names.map((name) => [name, given.get(name) ?? ""]));
    return { ...state, outcome: given.getAll("outcome"), text: (given.get("text") ?? "").trim().toLowerCase() };
  };
  const remember = (state) => {
    const kept = new URLSearchParams();
    for (const [name, value] of Object.entries(state)) {
      for (const part of [value].flat()) if (part) kept.append(name, part);
    }
    if (kept.size || location.hash.includes("=")) {
      history.replaceState(null, "", kept.size ? `#${kept}` : location.pathname + location.search);
    }
  };
  const showCharts = (section, state) => {
    const fitting = all(".chart", section).filter((figure) => passes(figure, state));
    const shown = new Set(section.dataset.all ? fitting : fitting.slice(0, SHOWN_AT_ONCE));
    for (const figure of all(".chart", section)) figure.hidden = !shown.has(figure);
    one(".none", section).hidden = fitting.length > 0;
    const more = one(".all", section);
    more.hidden = shown.size === fitting.length;
    more.textContent = `Show all ${fitting.length} charts`;
  };
  const SHOWN_AT_ONCE = 6;
  const apply = () => {
    const state = read();
    let count = 0;
    for (const row of cases) {
      row.hidden = !passes(row, state);
      count += !row.hidden;
    }
    one("#count").textContent =
      count === cases.length ? `${count} cases` : `${count} of ${cases.length} cases`;
    for (const section of all("section.charts")) showCharts(section, state);
    for (const group of all(".flips")) group.hidden = !passes(group, state);
    remember(state);
  };
  const offer = (name) => {
    const values = [...new Set(cases.map((row) => row.dataset[name]))].sort();
    const roles = name === "task" ? values.map((value) => value.split("/")[0]) : [];
    const several = [...new Set(roles)].filter((role) => values.filter((v) => v.startsWith(`${role}/`)).length > 1);
    for (const value of [...several.map((role) => `${role}/*`), ...values]) form.elements[name].add(new Option(value, value));
    form.elements[name].parentElement.hidden = values.length < 2;
  };
  const restore = () => {
    for (const [name, value] of new URLSearchParams(location.hash.includes("=") ? location.hash.slice(1) : "")) {
      const field = form.elements[name];
      if (name === "outcome") all("[name=outcome]", form).forEach((box) => (box.checked ||= box.value === value));
      else if (field) field.value = value;
    }
  };
  const choose = (wanted) => {
    form.reset();
    for (const [name, value] of Object.entries(wanted)) form.elements[name].value = value;
    apply();
    one("#cases").scrollIntoView();
    form.elements.claim.focus({ preventScroll: true });
  };

  // Sorting: figures by number, names by letter; a second press turns the order round.
  const sortBy = (button) => {
    const head = button.closest("th");
    const down = head.getAttribute("aria-sort") === "ascending";
    for (const other of all(".cases thead th")) other.setAttribute("aria-sort", "none");
    head.setAttribute("aria-sort", down ? "descending" : "ascending");
    const key = button.dataset.key;
    const text = ["claim", "recipe", "task"].includes(key);
    const value = (row) => (text ? row.dataset[key] : Number(row.dataset[key]));
    const compare = text ? (a, b) => a.localeCompare(b, "en", { numeric: true }) : (a, b) => a - b;
    const known = (v) => text || Number.isFinite(v);
    cases.sort((first, second) => {
      const [a, b] = [value(first), value(second)];
      // What has no figure comes last either way.
      if (known(a) !== known(b)) return known(a) ? -1 : 1;
      return known(a) ? (down ? -1 : 1) * compare(a, b) : 0;
    });
    one(".cases").append(...cases);
  };
  const open = (button) => {
    const expanded = button.getAttribute("aria-expanded") !== "true";
    button.setAttribute("aria-expanded", expanded);
    document.getElementById(button.getAttribute("aria-controls")).hidden = !expanded;
  };

  // Charts: drawn when they come into sight, again when the colours of the page change.
  const dark = matchMedia("(prefers-color-scheme: dark)");
  const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();
  const COLOURED = ["range", "color"];
  const coloured = (value, key) => {
    if (Array.isArray(value)) return value.map((item) => coloured(item, key));
    if (value && typeof value === "object") {
      return Object.fromEntries(Object.entries(value).map(([name, item]) => [name, coloured(item, name)]));
    }
    return COLOURED.includes(key) && typeof value === "string" && value.startsWith("$") ? colour(value.slice(1)) : value;
  };
  const config = () => {
    const [ink, muted, grid, rule] = ["ink", "muted", "grid", "rule"].map(colour);
    const font = getComputedStyle(document.body).fontFamily;
    const label = { labelColor: muted, titleColor: muted, labelFont: font, titleFont: font };
    return {
      background: null,
      font,
      view: { stroke: null },
      axis: { ...label, gridColor: grid, domainColor: rule, tickColor: rule, titleFontWeight: 400, titlePadding: 8 },
      legend: { ...label, labelColor: ink, orient: "top", symbolStrokeWidth: 2, symbolBaseFillColor: muted, symbolBaseStrokeColor: muted, labelLimit: 220, columns: 2, padding: 0 },
      text: { color: ink, font },
      line: { strokeWidth: 2 },
    };
  };
  const load = () => {
    if (window.vegaEmbed) return;
    const script = document.createElement("script");
    script.textContent = one("#library").textContent;
    document.head.append(script);
  };
  const draw = async (figure) => {
    load();
    const { spec, rows } = charts[figure.dataset.chart];
    const settings = { actions: false, renderer: "canvas", ast: true, defaultStyle: false, tooltip: { disableDefaultStyle: true } };
    const whole = { ...coloured(spec), data: { values: rows } };
    figure.dataset.scheme = dark.matches ? "dark" : "light";
    figure.view?.finalize();
    figure.view = await vegaEmbed(one(".plot > div", figure), whole, { ...settings, config: config() });
    figure.dataset.drawn = "yes";
  };
  let queue = Promise.resolve();
  const sight = new IntersectionObserver(
    (entries) => {
      for (const { isIntersecting, target } of entries) {
        if (!isIntersecting) continue;
        sight.unobserve(target);
        queue = queue.then(() => draw(target)).then(() => new Promise(requestAnimationFrame));
      }
    },
    { rootMargin: "300px" },
  );
  const drawn = () => figures.filter((figure) => figure.dataset.drawn);
  const before = () => {
    for (const figure of figures) if (!figure.hidden && !figure.dataset.drawn) draw(figure);
  };
  const tabulate = (holder) => {
    if (!holder.open || one("table", holder)) return;
    const figure = holder.closest(".chart");
    const { rows, columns } = charts[figure.dataset.chart];
    const table = document.createElement("table");
    table.createCaption().textContent = `Data of: ${one("figcaption b", figure).textContent}`;
    const head = table.createTHead().insertRow();
    for (const title of Object.values(columns)) {
      const cell = document.createElement("th");
      cell.scope = "col";
      cell.textContent = title;
      head.append(cell);
    }
    const body = table.createTBody();
    for (const row of rows) {
      const line = body.insertRow();
      for (const key of Object.keys(columns)) line.insertCell().textContent = row[key];
    }
    const box = document.createElement("div");
    Object.assign(box, { className: "scroll", tabIndex: 0 });
    box.setAttribute("role", "region");
    box.setAttribute("aria-label", "Data");
    box.append(table);
    holder.append(box);
  };

  if (form) {
    names.filter((name) => name !== "gate").forEach(offer);
    restore();
    form.hidden = false;
    form.addEventListener("input", apply);
    form.addEventListener("submit", (event) => event.preventDefault());
    form.addEventListener("reset", () => setTimeout(apply));
    all(".matrix button").forEach((cell) =>
      cell.addEventListener("click", () => {
        const { claim, model, recipe } = cell.dataset;
        choose({ claim, model, recipe });
      }),
    );
    all(".sorter").forEach((button) => button.addEventListener("click", () => sortBy(button)));
    all(".opener").forEach((button) => button.addEventListener("click", () => open(button)));
    all("section.charts .all").forEach((button) =>
      button.addEventListener("click", () => {
        button.closest("section").dataset.all = "yes";
        apply();
      }),
    );
    apply();
  }
  one("#unscripted")?.remove();
  figures.forEach((figure) => sight.observe(figure));
  all(".data").forEach((holder) => holder.addEventListener("toggle", () => tabulate(holder)));
  dark.addEventListener("change", () => drawn().forEach(draw));
  addEventListener("beforeprint", before);
  performance.mark("interactive");
})();
