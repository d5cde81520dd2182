"use strict";
/* The part of the address behind # is the state: each control changes it, and each change of it draws the view again.
   Texts of records enter the page as text nodes alone. */
(async () => {
  const MOST_ROWS = 200;
  const DASH = "\u2013";
  const specifications = JSON.parse(document.getElementById("charts").textContent);
  const doc = await unpacked(document.getElementById("data").textContent);
  const metrics = new Map(doc.metrics.map((metric, place) => [metric.name, { ...metric, place }]));
  const age = new Map(doc.releases.map((release, place) => [release, place]));
  const charts = new Map(); // by place, made when it is first seen

  async function unpacked(text) {
    const bytes = Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
    const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
    return new Response(stream).json();
  }

  // --- state

  const state = () => new URLSearchParams(location.hash.slice(1));

  function changed(values) {
    const next = state();
    for (const [name, value] of Object.entries(values)) value ? next.set(name, value) : next.delete(name);
    return `#${next}`;
  }

  function go(values) {
    location.hash = changed(values);
  }

  // --- text

  function quantity(value, unit) {
    if (value === null || value === undefined) return DASH;
    if (unit === "bytes") return `${(value / 2 ** 20).toFixed(1)} MiB`;
    if (unit === "instructions" && Math.abs(value) >= 1e6) return `${(value / 1e6).toFixed(2)} M`;
    return Math.abs(value) >= 1000 ? value.toFixed(0) : String(Number(value.toPrecision(4)));
  }

  function percent(ratio) {
    if (ratio === null) return DASH;
    const figure = (ratio * 100).toFixed(Math.abs(ratio) >= 10 ? 0 : 1);
    return `${Number(figure) < 0 ? figure : `+${figure.replace("-", "")}`} %`; // zero has no minus
  }

  const range = (change) => (change.low === null ? DASH : `${percent(change.low)} to ${percent(change.high)}`);

  // --- elements

  function element(tag, properties = {}, ...children) {
    const made = Object.assign(document.createElement(tag), properties);
    made.append(...children);
    return made;
  }

  function options(select, values) {
    for (const value of values) select.append(element("option", { value, textContent: value }));
  }

  /* columns: {key, title, hint, value(row): what sorts, cell(row): text or a node, figure}; the state says what sorts. */
  function table(place, columns, rows, { sort = "", name } = {}) {
    const focused = place.contains(document.activeElement) ? document.activeElement.dataset.key : null;
    const [key, direction] = (state().get(`sort-${name}`) || sort).split(" ");
    const by = columns.find((column) => column.key === key);
    const sorted = by ? [...rows].sort((a, b) => compared(by.value(a), by.value(b), direction === "down" ? -1 : 1)) : rows;
    const head = columns.map((column) => {
      const up = column.key === key && direction !== "down";
      const button = element("button", { type: "button", textContent: column.title, title: column.hint || "" });
      button.dataset.key = column.key;
      button.onclick = () => go({ [`sort-${name}`]: `${column.key} ${up ? "down" : "up"}` });
      const cell = element("th", { scope: "col" }, button);
      if (column.key === key) cell.ariaSort = up ? "ascending" : "descending";
      return cell;
    });
    const body = sorted.slice(0, MOST_ROWS).map((row) =>
      element("tr", {}, ...columns.map((column) => element("td", { className: column.figure ? "figure" : "" }, column.cell(row)))),
    );
    place.replaceChildren(element("table", {}, element("thead", {}, element("tr", {}, ...head)), element("tbody", {}, ...body)));
    if (focused) [...place.querySelectorAll("[data-key]")].find((one) => one.dataset.key === focused)?.focus();
  }

  function compared(a, b, sign) {
    if (a === null || b === null) return (a === null) - (b === null); // what is missing comes last
    return sign * (typeof a === "number" ? a - b : String(a).localeCompare(String(b), "en", { numeric: true }));
  }

  const text = (key, title) => ({ key, title, value: (row) => row[key], cell: (row) => String(row[key]) });

  function release(link) {
    const value = (row) => age.get(row.release) ?? -1;
    return { key: "release", title: "Release", value, cell: link };
  }

  function figures(rows) {
    const shown = doc.metrics.filter((metric) => metric.column);
    return shown
      .map((metric) => metrics.get(metric.name))
      .filter((metric) => rows.some((row) => row.values[metric.place] !== null))
      .map((metric) => ({
        key: metric.name,
        title: metric.title,
        hint: metric.meaning,
        figure: true,
        value: (row) => row.values[metric.place],
        cell: (row) => {
          const shown = quantity(row.values[metric.place], metric.unit);
          const counts = row.usable && (row.latencies_usable || !metric.latency);
          return counts || shown === DASH ? shown : `(${shown})`;
        },
      }));
  }

  async function embedded(name, place, rows, click) {
    const specification = structuredClone(specifications[name]);
    specification.data.find((one) => one.name === "rows").values = rows; // without rows, axes have no extent
    const { view } = await vegaEmbed(place, specification, { mode: "vega", renderer: "svg", actions: false });
    if (click) view.addEventListener("click", (event, item) => item && item.datum && click(item.datum));
    return view;
  }

  async function draw(name, place, rows, click) {
    place.hidden = rows.length === 0;
    if (place.hidden) return;
    if (!charts.has(place)) charts.set(place, embedded(name, place, rows, click));
    const view = await charts.get(place);
    view.data("rows", rows).resize().runAsync();
  }

  // --- views

  function filtered(rows) {
    const wanted = state();
    return rows.filter((row) => ["engine", "flow", "profile", "python"].every((name) => !wanted.get(name) || row[name] === wanted.get(name)));
  }

  function searched(rows) {
    const words = (state().get("q") || "").toLowerCase().split(/\s+/).filter(Boolean);
    const said = (row) => [...Object.values(row).filter((value) => typeof value === "string"), row.reasons].join(" ").toLowerCase();
    return filtered(rows).filter((row) => words.every((word) => said(row).includes(word)));
  }

  function number(section, rows, of) {
    const cut = rows.length > MOST_ROWS ? ` The first ${MOST_ROWS} are shown: filter or search to see others.` : "";
    section.querySelector(".number").textContent = `${rows.length} of ${of.length} rows.${cut}`;
  }

  function showReleases(section) {
    const rows = searched(doc.rows);
    number(section, rows, doc.rows);
    const link = (row) => element("a", { href: changed({ view: "runs", q: row.release, run: "" }), textContent: row.release });
    const columns = [
      release(link), text("engine", "Engine"), text("flow", "Flow"), text("profile", "Profile"), text("python", "Python"),
      text("outcome", "Outcome"), { ...text("runs", "Ok runs"), figure: true }, ...figures(rows), text("bound", "Bound"),
    ];
    table(section.querySelector(".table"), columns, rows, { sort: "release down", name: "releases" });
  }

  function turned(change) {
    const inverse = (ratio) => (ratio === null ? null : 1 / (1 + ratio) - 1);
    const verdict = { regression: "improvement", improvement: "regression" }[change.verdict] || change.verdict;
    return { ...change, old: change.new, new: change.old, change: inverse(change.change), low: inverse(change.high), high: inverse(change.low), verdict };
  }

  function showCompare(section) {
    const controls = document.forms.pair.elements;
    const [old, candidate] = [controls.old.value, controls.new.value];
    const reversed = age.get(old) > age.get(candidate);
    const [first, second] = reversed ? [candidate, old] : [old, candidate];
    const rows = filtered(doc.pairs.filter((pair) => pair.old === first && pair.new === second)).flatMap((pair) =>
      pair.changes.map((change) => ({ ...(reversed ? turned(change) : change), pair, series: `${pair.engine} ${pair.flow}, ${pair.profile}` })),
    );
    const verdicts = (word) => rows.filter((row) => row.verdict === word).length;
    section.querySelector(".answer").textContent = rows.length
      ? `${candidate} against ${old}: ${verdicts("regression")} regressions, ${verdicts("improvement")} improvements, ${verdicts("within threshold")} within threshold, ${verdicts("inconclusive")} inconclusive.`
      : old === candidate
        ? "Choose two different releases."
        : `No recorded campaign has both ${old} and ${candidate} under these filters. To measure them: nox -s compare -- ${old} ${candidate}`;
    const points = rows.filter((row) => row.change !== null).map((row) => ({
      metric: metrics.get(row.metric).words, series: row.series, change: row.change * 100, low: row.low * 100, high: row.high * 100,
      verdict: row.verdict, shown: `${percent(row.change)} (${range(row)})`,
    }));
    draw("changes", section.querySelector(".chart"), points);
    const unit = (row) => metrics.get(row.metric).unit;
    const columns = [
      { key: "metric", title: "Metric", value: (row) => metrics.get(row.metric).place, cell: (row) => metrics.get(row.metric).title },
      { key: "series", title: "Scenario and profile", value: (row) => row.series, cell: (row) => row.series },
      { key: "old", title: old, figure: true, value: (row) => row.old, cell: (row) => quantity(row.old, unit(row)) },
      { key: "new", title: candidate, figure: true, value: (row) => row.new, cell: (row) => quantity(row.new, unit(row)) },
      { key: "change", title: "Change", figure: true, value: (row) => row.change, cell: (row) => percent(row.change) },
      { key: "interval", title: "95 % interval", figure: true, value: (row) => row.low, cell: range },
      { key: "verdict", title: "Verdict", value: (row) => row.verdict, cell: (row) => element("span", { className: row.verdict, textContent: row.verdict }) },
      { key: "rounds", title: "Rounds", figure: true, value: (row) => row.pair.rounds, cell: (row) => String(row.pair.rounds) },
    ];
    const place = section.querySelector(".table");
    rows.length ? table(place, columns, rows, { name: "compare" }) : place.replaceChildren();
    showPackages(section.querySelector(".packages"), old, candidate);
  }

  function showPackages(place, old, candidate) {
    const [before, after] = [doc.distributions[old], doc.distributions[candidate]];
    if (!before || !after) return place.replaceChildren(`Not recorded of ${before ? candidate : old}.`);
    const own = (name) => !name.startsWith("promptflow");
    const rows = [...new Set([...Object.keys(before), ...Object.keys(after)])]
      .filter((name) => before[name] !== after[name])
      .sort((a, b) => own(a) - own(b) || compared(a, b, 1))
      .map((name) => ({ name, before: before[name] || DASH, after: after[name] || DASH }));
    rows.length ? table(place, [text("name", "Package"), text("before", old), text("after", candidate)], rows, { name: "packages" })
      : place.replaceChildren("None.");
  }

  function showHistory(section) {
    const metric = metrics.get(document.forms.metric.elements.metric.value);
    const rows = filtered(doc.histories).filter((one) => one.metric === metric.name).flatMap((one) =>
      one.points.map((point) => ({
        ...point, position: age.get(point.release), series: `${one.engine} ${one.flow}, ${one.source}`,
        changed: point.changed ? "change" : "no change", shown: `${quantity(point.value, metric.unit)} (${quantity(point.low, metric.unit)} to ${quantity(point.high, metric.unit)})`,
      })),
    );
    const scale = metric.unit === "bytes" ? 2 ** 20 : 1;
    const scaled = rows.map((row) => ({ ...row, value: row.value / scale, low: row.low / scale, high: row.high / scale }));
    const unit = metric.unit === "bytes" ? "MiB" : metric.unit;
    section.querySelector(".answer").textContent = rows.length
      ? `${metric.words}, ${unit}, ${metric.better} is better: ${metric.meaning}.`
      : "No history of this metric under these filters.";
    draw("history", section.querySelector(".chart"), scaled, (point) => point.release && go({ view: "releases", q: point.release }));
    const link = (row) => element("a", { href: changed({ view: "releases", q: row.release }), textContent: row.release });
    const columns = [
      release(link), text("series", "Scenario"),
      { key: "value", title: metric.title, figure: true, value: (row) => row.value, cell: (row) => row.shown },
      text("changed", "Against the release before"),
    ];
    table(section.querySelector(".table"), columns, rows, { sort: "release down", name: "history" });
  }

  function showRuns(section) {
    const rows = searched(doc.runs);
    number(section, rows, doc.runs);
    const open = (row) => element("a", { href: changed({ run: row.run }), textContent: row.run });
    const columns = [
      { key: "run", title: "Run", value: (row) => row.run, cell: open }, release((row) => row.release),
      text("engine", "Engine"), text("flow", "Flow"), text("profile", "Profile"), text("python", "Python"), text("outcome", "Outcome"),
      ...figures(rows), text("bound", "Bound"), text("campaign", "Campaign"), { ...text("round", "Round"), figure: true },
    ];
    table(section.querySelector(".table"), columns, rows, { sort: "run down", name: "runs" });
    showRun(section.querySelector(".detail"), doc.runs.find((run) => run.run === state().get("run")));
  }

  function showRun(place, run) {
    place.hidden = run === undefined;
    if (place.hidden) return;
    const title = place.querySelector("h3");
    const said = `${run.release}, ${run.engine} ${run.flow}, profile ${run.profile}`;
    const opened = title.textContent !== said || title.dataset.run !== run.run;
    title.textContent = said;
    title.dataset.run = run.run;
    place.querySelector(".answer").textContent = [`Run ${run.run}: ${run.outcome}.`, ...run.reasons].join(" ");
    const { requests, failures, p50_ms, p95_ms, response_ms, overhead_ms } = run.curves;
    const seconds = (series, values) => values.map((value, second) => ({ second, series, value }));
    draw("throughput", place.querySelector(".throughput"), [...seconds("requests", requests), ...seconds("failures", failures)]);
    draw("times", place.querySelector(".times"), [...seconds("p50", p50_ms), ...seconds("p95", p95_ms)].filter((row) => row.value !== null));
    const shares = (series, values) => values.map((value, position) => ({ percentile: `${doc.percentiles[position]}`, position, series, value }));
    draw("distribution", place.querySelector(".distribution"),
      [...shares("response time", response_ms), ...shares("overhead", overhead_ms)].filter((row) => row.value !== null));
    if (opened) title.focus();
  }

  // --- start

  const VIEWS = { releases: showReleases, compare: showCompare, history: showHistory, runs: showRuns };

  function render() {
    const now = state();
    const name = now.get("view") in VIEWS ? now.get("view") : "releases";
    for (const link of document.querySelectorAll("nav a")) {
      const target = new URLSearchParams(link.hash.slice(1)).get("view");
      link.href = changed({ view: target });
      target === name ? link.setAttribute("aria-current", "page") : link.removeAttribute("aria-current");
    }
    for (const form of document.forms) {
      for (const control of form.elements) if (control.name && now.has(control.name)) control.value = now.get(control.name);
    }
    for (const control of document.forms.filters.elements) if (!now.has(control.name)) control.value = "";
    document.forms.filters.elements.q.parentElement.hidden = !["releases", "runs"].includes(name);
    for (const section of document.querySelectorAll("section")) section.hidden = section.id !== name;
    VIEWS[name](document.getElementById(name));
  }

  function showSkipped() {
    const place = document.getElementById("skipped");
    place.hidden = doc.skipped.length === 0;
    place.querySelector("summary").textContent = `Records that cannot be read, and are left out: ${doc.skipped.length}`;
    place.querySelector("ul").append(...doc.skipped.map((textContent) => element("li", { textContent })));
  }

  function fill() {
    const { engine, flow, profile, python } = document.forms.filters.elements;
    const all = [...doc.rows, ...doc.runs];
    for (const select of [engine, flow, profile, python]) options(select, [...new Set(all.map((row) => row[select.name]))].sort());
    const { old, new: candidate } = document.forms.pair.elements;
    const newest = [...doc.releases].reverse();
    for (const select of [old, candidate]) options(select, newest);
    [old.value, candidate.value] = [newest[1] || newest[0], newest[0]];
    const known = new Set(doc.histories.map((one) => one.metric));
    for (const metric of doc.metrics.filter((one) => known.has(one.name))) {
      document.forms.metric.elements.metric.append(element("option", { value: metric.name, textContent: metric.words }));
    }
    for (const form of document.forms) {
      form.onsubmit = (event) => event.preventDefault();
      form.oninput = ({ target }) => {
        history.replaceState(null, "", changed({ [target.name]: target.value }));
        render();
      };
    }
  }

  fill();
  showSkipped();
  document.querySelector("main").hidden = false;
  addEventListener("hashchange", render);
  render();
})();
