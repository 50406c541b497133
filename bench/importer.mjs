import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createWriteStream, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { Installation } from '../tools/load/installation.mjs';
import { Random } from '../tools/load/random.mjs';
import { print } from './results.mjs';

const MEMBERS = 100_000;
const POLL_MS = 100;

/** The most memory that `vafa import purchases` takes for a file of so many rows, and how fast it is. */
export async function runImporter({ within, rows, root }) {
  const installation = new Installation({ within });
  try {
    await installation.start();
    const file = join(installation.folder, 'purchases.ndjson');
    await writeFile(file, rows);
    const started = performance.now();
    const words = ['tools/vafa.mjs', 'import', 'purchases', file, '--enrol', '--source', '/bench', '--json'];
    const child = spawn(process.execPath, words, {
      cwd: root,
      stdio: ['ignore', 'pipe', 'inherit'],
      env: { ...process.env, VAFA_DATA: installation.data },
    });
    let output = '';
    child.stdout.on('data', (chunk) => (output += chunk));
    let peak = 0;
    const timer = setInterval(() => (peak = Math.max(peak, peakOf(child.pid))), POLL_MS);
    const [code] = await once(child, 'close');
    clearInterval(timer);
    if (code !== 0) throw new Error(`the import ended with ${code}: ${output.slice(-1_000)}`);
    const seconds = (performance.now() - started) / 1_000;
    const line = {
      measure: 'import',
      rows,
      peakMegabytes: Math.round(peak / 1_024),
      perSecond: Math.round(rows / seconds),
    };
    print({ ...line, counts: JSON.parse(output.trim().split('\n').at(-1)) });
    await installation.stop();
    return line;
  } finally {
    await installation.dispose();
  }
}

/** Kilobytes that the process and those it started have had at most, each by its own high-water mark. */
function peakOf(pid) {
  try {
    const own = Number(/VmHWM:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1] ?? 0);
    const children = readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').trim().split(' ').filter(Boolean);
    return Math.max(own, ...children.map((child) => peakOf(Number(child))));
  } catch {
    return 0;
  }
}

async function writeFile(path, rows) {
  const random = new Random(rows);
  const file = createWriteStream(path);
  for (let i = 0; i < rows; i++) {
    const amount = random.between(0, 20_000);
    const data = {
      purchaseId: `p-${i}`,
      member: `external:m${random.between(1, MEMBERS)}`,
      occurredAt: new Date(Date.UTC(2026, 0, 1) + i * 1_000).toISOString(),
      currency: 'USD',
      lines: [{ lineId: '1', amount }],
      total: amount,
    };
    if (!file.write(`${JSON.stringify(data)}\n`)) await once(file, 'drain');
  }
  file.end();
  await once(file, 'close');
}
