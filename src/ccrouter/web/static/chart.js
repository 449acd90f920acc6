// Draws each <figure class="chart"> from the table in it: the table stays, folded away, for who cannot see a picture.
// First column: the time, as data-at (seconds). Each further column is a line: its header names it, data-kind of the
// header says how figures are written (money, tokens, ms, percent, count), its cells hold data-value ("" for none).
"use strict";

(() => {
  const colours = ["--line-1", "--line-2", "--line-3", "--line-4", "--line-5"];
  const style = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

  const short = (value) => {
    const size = Math.abs(value);
    if (size >= 1e6) return `${+(value / 1e6).toFixed(2)}M`;
    if (size >= 1e3) return `${+(value / 1e3).toFixed(1)}k`;
    return `${+value.toFixed(2)}`;
  };
  const formats = {
    money: (value) => (value >= 1 || value === 0 ? `$${value.toFixed(2)}` : `$${+value.toPrecision(2)}`),
    tokens: short,
    count: short,
    ms: (value) => (value >= 1000 ? `${+(value / 1000).toFixed(2)} s` : `${+value.toFixed(0)} ms`),
    percent: (value) => `${+(value * 100).toFixed(1)} %`,
  };
  const written = (kind, value) => (value === null || value === undefined ? "–" : (formats[kind] || short)(value));

  const read = (table) => {
    const heads = [...table.tHead.rows[0].cells];
    const rows = [...table.tBodies[0].rows];
    const times = rows.map((row) => Number(row.cells[0].dataset.at));
    const columns = heads.slice(1).map((_, place) =>
      rows.map((row) => {
        const value = row.cells[place + 1].dataset.value;
        return value === undefined || value === "" ? null : Number(value);
      }),
    );
    return { times, columns, heads: heads.slice(1) };
  };

  const draw = (figure) => {
    const table = figure.querySelector("table");
    const place = figure.querySelector(".plot");
    if (table === null || place === null || table.tBodies[0].rows.length === 0) return;
    const { times, columns, heads } = read(table);
    const kind = heads[0].dataset.kind || "count";
    const isBars = figure.dataset.chart === "bars";
    const series = heads.map((head, number) => {
      const colour = style(colours[number % colours.length]);
      return {
        label: head.textContent.trim(),
        stroke: colour,
        fill: isBars ? colour : undefined,
        width: isBars ? 0 : 2,
        paths: isBars ? uPlot.paths.bars({ size: [0.7, 40] }) : undefined,
        points: { show: !isBars && times.length < 40, size: 5 },
        spanGaps: false,
        value: (_, value) => written(head.dataset.kind || kind, value),
      };
    });
    place.replaceChildren();
    const ink = style("--quiet");
    const grid = { stroke: style("--line"), width: 1 };
    const plot = new uPlot(
      {
        width: Math.max(200, place.clientWidth),
        height: 180,
        cursor: { y: false },
        scales: { x: { time: true }, y: { range: (_, low, high) => [Math.min(0, low ?? 0), high > 0 ? high * 1.05 : 1] } },
        axes: [
          { stroke: ink, grid, ticks: grid },
          { stroke: ink, grid, ticks: grid, size: 64, values: (_, all) => all.map((one) => written(kind, one)) },
        ],
        series: [{ label: "Time" }, ...series],
      },
      [times, ...columns],
      place,
    );
    figure.plot = plot;
  };

  const drawAll = (within) => within.querySelectorAll("figure.chart").forEach(draw);
  const redraw = () => drawAll(document);

  redraw();
  document.addEventListener("live", (event) => {
    if (event.detail.matches("figure.chart")) draw(event.detail);
    drawAll(event.detail);
  });
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", redraw);
  let waiting = 0;
  addEventListener("resize", () => {
    clearTimeout(waiting);
    waiting = setTimeout(redraw, 100);
  });
})();
