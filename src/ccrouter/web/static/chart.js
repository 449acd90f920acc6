// Draws each <figure class="chart"> from the table in it: the table stays, folded away, for who cannot see a picture.
// First column: the time, as data-at (ISO 8601), or with data-x="turn" of the figure a whole number. Each further
// column is a line (a bar with data-chart="bars"): its header names it, data-kind of the header says how figures are written
// (money, tokens, ms, percent, count), its cells hold data-value ("" for none). A row with data-mark has a line of its
// own from top to bottom, with that word at its head.
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
    ms: (value) => (value >= 1000 ? `${+(value / 1000).toFixed(2)} s` : `${+value.toFixed(value < 10 ? 1 : 0)} ms`),
    percent: (value) => `${+(value * 100).toFixed(1)} %`,
  };
  const written = (kind, value) => (value === null || value === undefined ? "–" : (formats[kind] || short)(value));

  const read = (table) => {
    const heads = [...table.tHead.rows[0].cells].slice(1);
    const rows = [...table.tBodies[0].rows];
    const placed = (at) => (/T/.test(at) ? Date.parse(at) / 1000 : Number(at));
    const places = rows.map((row) => placed(row.cells[0].dataset.at));
    const columns = heads.map((_, number) =>
      rows.map((row) => {
        const value = row.cells[number + 1].dataset.value;
        return value === undefined || value === "" ? null : Number(value);
      }),
    );
    const marks = rows.flatMap((row, number) => (row.dataset.mark ? [[places[number], row.dataset.mark]] : []));
    return { places, columns, heads, marks };
  };

  const isFew = (values) => values.filter((value) => value !== null).length < 40;

  // A value whose neighbours are missing has no line to be seen by.
  const lonely = (plot, number) => {
    const values = plot.data[number];
    const isNone = (value) => value === null || value === undefined;
    const isLonely = (at) => !isNone(values[at]) && isNone(values[at - 1]) && isNone(values[at + 1]);
    return values.flatMap((_, at) => (isLonely(at) ? [at] : []));
  };

  const drawMarks = (marks) => (plot) => {
    const { ctx, bbox } = plot;
    ctx.save();
    ctx.strokeStyle = ctx.fillStyle = style("--caution");
    ctx.lineWidth = devicePixelRatio;
    ctx.setLineDash([4 * devicePixelRatio, 3 * devicePixelRatio]);
    ctx.font = `${11 * devicePixelRatio}px system-ui, sans-serif`;
    ctx.textAlign = "center";
    for (const [at, word] of marks) {
      const x = Math.round(plot.valToPos(at, "x", true));
      ctx.beginPath();
      ctx.moveTo(x, bbox.top);
      ctx.lineTo(x, bbox.top + bbox.height);
      ctx.stroke();
      ctx.fillText(word, x, bbox.top - 3 * devicePixelRatio);
    }
    ctx.restore();
  };

  const seriesOf = (head, number, { kind, isBars, isTurns, isFew }) => {
    const colour = style(colours[number % colours.length]);
    return {
      label: head.textContent.trim(),
      stroke: colour,
      fill: isBars ? colour : undefined,
      width: isBars ? 0 : 2,
      paths: isBars ? uPlot.paths.bars({ size: [0.75, 40] }) : undefined,
      points: { size: 5, ...(isBars ? { show: false } : isFew ? { show: true } : { filter: lonely }) },
      spanGaps: isTurns,
      value: (_, value) => written(head.dataset.kind || kind, value),
    };
  };

  const clock = new Intl.DateTimeFormat([], { hour: "2-digit", minute: "2-digit", hour12: false });
  const day = new Intl.DateTimeFormat([], { day: "numeric", month: "short" });
  const isMidnight = (at) => at.getHours() === 0 && at.getMinutes() === 0;
  const times = (_, all, __, ___, step) =>
    all.map((one) => new Date(one * 1000)).map((at) => (step >= 86400 || isMidnight(at) ? day : clock).format(at));

  const moment = (value) => {
    if (value === null || value === undefined) return "–";
    const at = new Date(value * 1000);
    return `${day.format(at)}, ${clock.format(at)}`;
  };

  const axesOf = (kind, isTurns) => {
    const line = { stroke: style("--line"), width: 1 };
    const base = { stroke: style("--quiet"), grid: line, ticks: line };
    const turns = { incrs: [1, 2, 5, 10, 20, 50, 100, 200, 500], values: (_, all) => all.map((one) => `${one}`) };
    return [
      { ...base, size: 34, ...(isTurns ? turns : { values: times }) },
      { ...base, size: 58, values: (_, all) => all.map((one) => written(kind, one)) },
    ];
  };

  const draw = (figure) => {
    const table = figure.querySelector("details table"); // uPlot makes a table of its own
    const place = figure.querySelector(".plot");
    if (table === null || place === null || table.tBodies[0].rows.length === 0) return;
    const { places, columns, heads, marks } = read(table);
    const seriesAt = (head, number) => seriesOf(head, number, { kind, isBars, isTurns, isFew: isFew(columns[number]) });
    const kind = heads[0].dataset.kind || "count";
    const isBars = figure.dataset.chart === "bars";
    const isTurns = figure.dataset.x === "turn";
    const width = places.length > 1 ? (places[places.length - 1] - places[0]) / (places.length - 1) : 1;
    const top = kind === "percent" ? (high) => Math.min(Math.max(high * 1.05, 0.01), 1.02) : (high) => high * 1.05;
    if (figure.plot) figure.plot.destroy();
    place.replaceChildren();
    figure.plot = new uPlot(
      {
        width: Math.max(200, place.clientWidth),
        height: 180,
        padding: [marks.length > 0 ? 16 : 8, 8, 0, 0],
        cursor: { y: false },
        scales: {
          x: { time: !isTurns, range: (_, low, high) => [low - width / 2, high + width / 2] },
          y: { range: (_, low, high) => [Math.min(0, low ?? 0), high > 0 ? top(high) : 1] },
        },
        axes: axesOf(kind, isTurns),
        series: [
          { label: isTurns ? "Turn" : "Time", value: (_, value) => (isTurns ? `${value ?? "–"}` : moment(value)) },
          ...heads.map(seriesAt),
        ],
        hooks: marks.length > 0 ? { draw: [drawMarks(marks)] } : {},
      },
      [places, ...columns],
      place,
    );
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
