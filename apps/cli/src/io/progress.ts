import type { Writable } from 'node:stream';

import { SingleBar } from 'cli-progress';

export type Progress = {
  /** How much is done, of the total given at the start. */
  update(done: number, note: string): void;
  /** A line that must not be swallowed by the bar. */
  say(message: string): void;
  stop(): void;
};

const LINE_INTERVAL_MS = 5_000;
const RATE_WINDOW_MS = 5_000;
const SECONDS_PER_MINUTE = 60;
const SECONDS_PER_HOUR = 3_600;

const numbers = new Intl.NumberFormat('en');

export const formatNumber = (value: number): string => numbers.format(value);

/** `42 s`, `3 min 20 s`, `2 h 5 min`. */
export const formatSeconds = (seconds: number): string => {
  const whole = Math.round(seconds);
  if (whole < SECONDS_PER_MINUTE) return `${whole} s`;
  if (whole < SECONDS_PER_HOUR) return `${Math.floor(whole / SECONDS_PER_MINUTE)} min ${whole % SECONDS_PER_MINUTE} s`;
  return `${Math.floor(whole / SECONDS_PER_HOUR)} h ${Math.floor((whole % SECONDS_PER_HOUR) / SECONDS_PER_MINUTE)} min`;
};

/** The rate over the last seconds, which follows what happens now better than that since the start. */
class Rate {
  private readonly samples: { readonly at: number; readonly done: number }[] = [];

  add(done: number): number {
    const at = performance.now();
    this.samples.push({ at, done });
    while (this.samples.length > 2 && at - (this.samples[0]?.at ?? at) > RATE_WINDOW_MS) this.samples.shift();
    const first = this.samples[0] ?? { at, done };
    return at === first.at ? 0 : ((done - first.done) * 1_000) / (at - first.at);
  }
}

const describeRate = (rate: number, left: number): string => {
  const time = rate > 0 && left > 0 ? `, ${formatSeconds(left / rate)} left` : '';
  return `${formatNumber(Math.round(rate))}/s${time}`;
};

const bar = (stream: Writable, total: number, done: number, unit: string): Progress => {
  const rate = new Rate();
  const single = new SingleBar({
    format: `{bar} {percentage}%  {value}/{total} ${unit}  {speed}{note}`,
    stream,
    barsize: 30,
    fps: 5,
    hideCursor: true,
    barCompleteChar: '█',
    barIncompleteChar: '░',
  });
  single.start(total, done, { speed: '', note: '' });
  rate.add(done);
  return {
    update: (now, note) =>
      single.update(Math.min(now, total), { speed: describeRate(rate.add(now), total - now), note: `  ${note}` }),
    say: (message) => stream.write(`\r\u001B[2K${message}\n`),
    stop: () => single.stop(),
  };
};

const lines = (stream: Writable, total: number, done: number, unit: string): Progress => {
  const rate = new Rate();
  rate.add(done);
  let last = performance.now();
  return {
    update: (now, note) => {
      if (performance.now() - last < LINE_INTERVAL_MS) return;
      last = performance.now();
      const share = total === 0 ? 100 : Math.floor((now * 100) / total);
      stream.write(
        `${formatNumber(now)} of ${formatNumber(total)} ${unit} (${share} %), ${describeRate(rate.add(now), total - now)}; ${note}\n`,
      );
    },
    say: (message) => stream.write(`${message}\n`),
    stop: () => undefined,
  };
};

/** A bar with rate and time left on a terminal, a line every few seconds otherwise. */
export const startProgress = (
  stream: Writable & { isTTY?: boolean },
  options: { readonly total: number; readonly done: number; readonly unit: string },
): Progress => (stream.isTTY === true ? bar : lines)(stream, options.total, options.done, options.unit);
