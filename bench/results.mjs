import { execFileSync } from 'node:child_process';
import { closeSync, fsyncSync, mkdtempSync, openSync, rmSync, writeFileSync, writeSync } from 'node:fs';
import { cpus, release, totalmem, type } from 'node:os';
import { join } from 'node:path';

const FSYNCS = 200;

/** One line for whoever reads along, or pipes it. */
export const print = (line) => console.log(JSON.stringify(line));

/**
 * The median of an even number of figures is the middle between the two in the middle.
 * @returns {{ min: number, median: number, max: number, runs: number }}
 */
export function spread(figures) {
  const sorted = [...figures].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  return {
    min: sorted[0],
    median: sorted.length % 2 === 1 ? sorted[middle] : Number(((sorted[middle - 1] + sorted[middle]) / 2).toFixed(6)),
    max: sorted.at(-1),
    runs: sorted.length,
  };
}

/** What a percentile of sorted milliseconds is, to a hundredth. */
export const percentile = (sorted, share) =>
  Number((sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? 0).toFixed(2));

/** The machine, as far as it decides the figures: `folder` is on the disk that is measured. */
export function describeMachine(folder) {
  const [cpu] = cpus();
  return {
    cpu: `${cpus().length} × ${cpu.model.trim()}`,
    memory: `${Math.round(totalmem() / 2 ** 30)} GiB`,
    system: `${type()} ${release()}`,
    node: process.version,
    fsync: `${medianFsyncMs(folder)} ms (median of ${FSYNCS} writes of 8 KiB)`,
  };
}

function medianFsyncMs(folder) {
  const own = mkdtempSync(join(folder, 'fsync-'));
  const file = openSync(join(own, 'probe'), 'w');
  const page = Buffer.alloc(8_192, 1);
  const took = [];
  for (let i = 0; i < FSYNCS; i++) {
    const started = performance.now();
    writeSync(file, page);
    fsyncSync(file);
    took.push(performance.now() - started);
  }
  closeSync(file);
  rmSync(own, { recursive: true });
  return percentile(
    took.sort((a, b) => a - b),
    0.5,
  );
}

function commitOf(root) {
  const git = (...words) => execFileSync('git', words, { cwd: root, encoding: 'utf8' }).trim();
  try {
    return `${git('rev-parse', '--short', 'HEAD')}${git('status', '--porcelain', '--', 'apps', 'libs') === '' ? '' : ' with changes'}`;
  } catch {
    return 'unknown';
  }
}

/**
 * Writes the table of one run of the benchmarks.
 * @param {{ root: string, file: string, machine: object, rows: { measure: string, unit: string, min: number, median: number, max: number, runs: number,
 *   note?: string, gate?: string, goal?: string }[], notes: string[] }} results
 */
export function writeResults({ root, file, machine, rows, notes }) {
  const format = (figure) => figure.toLocaleString('en', { maximumFractionDigits: 2 });
  const table = rows.map(({ measure, unit, min, median, max, runs, gate = '', goal = '', note = '' }) =>
    ['', measure, format(min), `**${format(median)}**`, format(max), unit, runs, gate, goal, note, '']
      .join(' | ')
      .trim(),
  );
  const text = `# Results of the benchmarks

Written by \`npm run bench\`, never by hand. Everything ran on one machine: the load generator, the services and PostgreSQL, with fsync on.
Absolute figures differ from machine to machine; the share of the floor, measured in the same run, is what compares.

- Date: ${new Date().toISOString().slice(0, 10)}
- Commit: ${commitOf(root)}
${Object.entries(machine)
  .map(([name, value]) => `- ${name[0].toUpperCase()}${name.slice(1)}: ${value}`)
  .join('\n')}

| measure | min | median | max | unit | runs | gate | goal | note |
| --- | --- | --- | --- | --- | --- | --- | --- | --- |
${table.join('\n')}

${notes.map((note) => `- ${note}`).join('\n')}
`;
  writeFileSync(file, text);
}
