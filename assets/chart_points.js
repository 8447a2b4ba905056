// The points of a series and the numbers on an axis: pure functions for the live plots (charts.js). No page, no state.
(() => {
  "use strict";

  const LIMIT = 4000; // points a series in the browser

  // ---- points: [[step, value, seconds?], ...] in the order of steps; the value is null where it was no number ----

  /** At most `limit` points, from buckets of equal width in steps: each keeps its least, its greatest and its first without a number. */
  function decimate(points, limit) {
    if (points.length <= limit) return points;
    const count = Math.floor((limit - 2) / 3), end = points.length - 1;
    const first = points[0][0], width = (points[end][0] - first) / count;
    const kept = [points[0]];
    for (let at = 1, bucket = 0; bucket < count; bucket++) {
      let least = -1, most = -1, none = -1;
      for (const edge = first + width * (bucket + 1); at < end && (points[at][0] < edge || bucket === count - 1); at++) {
        const value = points[at][1];
        if (value === null) none = none < 0 ? at : none;
        else {
          if (least < 0 || value < points[least][1]) least = at;
          if (most < 0 || value > points[most][1]) most = at;
        }
      }
      for (const index of [...new Set([least, most, none])].sort((a, b) => a - b)) if (index >= 0) kept.push(points[index]);
    }
    kept.push(points[end]);
    return kept;
  }

  /** `points` with `fresh` after them. A resumed run repeats steps: what was drawn of them is replaced. */
  function append(points, fresh) {
    for (const [step, value, seconds] of fresh) {
      while (points.length && points[points.length - 1][0] >= step) points.pop();
      points.push([step, value === null || !Number.isFinite(+value) ? null : +value, seconds]);
    }
    return decimate(points, LIMIT);
  }

  /** The exponential moving average as TensorBoard draws it: debiased, and passing over what is no number. */
  function smooth(values, weight) {
    let sum = 0, share = 1;
    return values.map((value) => {
      if (value === null) return null;
      sum = sum * weight + (1 - weight) * value;
      share *= weight;
      return sum / (1 - share);
    });
  }

  /** LLaMA-Factory's rule (`extras/ploting.py`): the more points, the smoother. */
  const defaultWeight = (count) => 1.8 * (1 / (1 + Math.exp(-0.05 * count)) - 0.5);

  // ---- numbers and ticks ----

  /** Three digits that a person reads at a glance: 0.421, 8.1e-4, 12.3k. */
  function short(value) {
    if (value === undefined) return "–";
    if (value === null) return "NaN";
    const size = Math.abs(value);
    if (size === 0) return "0";
    if (size < 0.01) return value.toExponential(1);
    if (size < 100) return value.toPrecision(3);
    if (size < 10000) return value.toFixed(0);
    return size < 1e6 ? `${(value / 1e3).toPrecision(3)}k` : size < 1e9 ? `${(value / 1e6).toPrecision(3)}M` : value.toExponential(1);
  }

  /** Marks of one axis, written alike: as many decimals as their distance needs. */
  function tickLabels(ticks) {
    const greatest = Math.max(...ticks.map(Math.abs)), gap = ticks.length > 1 ? ticks[1] - ticks[0] : greatest;
    const [unit, sign] = greatest >= 1e6 ? [1e6, "M"] : greatest >= 1e4 ? [1e3, "k"] : [1, ""];
    const decimals = Math.max(0, -Math.floor(Math.log10(gap / unit) + 1e-9));
    return ticks.map((tick) => {
      if (tick === 0) return "0";
      return greatest < 0.01 ? Number(tick.toPrecision(4)).toExponential() : (tick / unit).toFixed(Math.min(decimals, 6)) + sign;
    });
  }

  /** Marks for a log axis: decades, then 1-2-5, then every digit, then evenly spaced: the fewest that give three. */
  function logTicks(min, max) {
    for (const digits of [[1], [1, 2, 5], [1, 2, 3, 4, 5, 6, 7, 8, 9]]) {
      const ticks = [];
      for (let power = Math.floor(Math.log10(min)); power <= Math.log10(max); power++) {
        for (const digit of digits) ticks.push(Number(`${digit}e${power}`));
      }
      const inside = ticks.filter((tick) => tick >= min && tick <= max);
      if (inside.length >= 3) return inside;
    }
    const rough = (max - min) / 4, magnitude = 10 ** Math.floor(Math.log10(rough));
    const gap = [1, 2, 5, 10].find((factor) => factor * magnitude >= rough) * magnitude;
    return Array.from({ length: 5 }, (_, index) => (Math.ceil(min / gap) + index) * gap).filter((tick) => tick <= max);
  }

  const logLabel = (tick) => String(tick < 0.01 || tick >= 1e4 ? Number(tick.toPrecision(3)).toExponential() : Number(tick.toPrecision(3)));

  function elapsed(seconds) {
    const two = (number) => String(Math.floor(number)).padStart(2, "0");
    const hours = Math.floor(seconds / 3600);
    return hours ? `${hours}:${two((seconds % 3600) / 60)}:${two(seconds % 60)}` : `${Math.floor(seconds / 60)}:${two(seconds % 60)}`;
  }

  function valueRange(min, max, log, zero) {
    if (!Number.isFinite(min) || !Number.isFinite(max)) return log ? [0.1, 1] : [0, 1];
    if (log) return [min / 1.12, max * 1.12];
    const low = zero ? Math.min(0, min) : min, high = zero ? Math.max(0, max) : max;
    const room = (high - low) * 0.06 || Math.abs(high) * 0.1 || 1;
    return [low >= 0 ? Math.max(0, low - room) : low - room, high + room];
  }

  window.chartPoints = { decimate, append, smooth, defaultWeight, short, tickLabels, logTicks, logLabel, elapsed, valueRange };
})();
