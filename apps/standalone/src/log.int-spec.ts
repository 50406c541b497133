import { afterEach, beforeEach, expect, it } from '@jest/globals';
import { eventually } from '@vafa/testing';
import { mkdtemp, readFile, readdir, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { openLog } from './log.js';

const BYTES_MAX = 20_000;

let folder: string;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'vafa-log-'));
});

afterEach(() => rm(folder, { recursive: true, force: true }));

const numbersIn = async (name: string): Promise<number[]> => {
  const text = await readFile(join(folder, name), 'utf8');
  return text
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => (JSON.parse(line) as { n: number }).n);
};

it('puts the log aside while it is written, once it is too long, and loses no line at the seam', async () => {
  const log = openLog({ folder, to: 'file', level: 'info', bytesMax: BYTES_MAX });
  const logger = log.loggerFor('points');
  let written = 0;
  // Until it has been put aside at least twice: the older of two old files is gone by then.
  for (; written < 1_000; written++) logger.info({ n: written, text: 'x'.repeat(100) }, 'said');
  log.flush();
  expect((await readdir(folder)).toSorted()).toEqual(['vafa.log', 'vafa.log.old']);
  await eventually(async () => {
    const kept = [...(await numbersIn('vafa.log.old')), ...(await numbersIn('vafa.log'))];
    const first = kept[0] ?? written;
    expect(first).toBeGreaterThan(0);
    expect(kept).toEqual(Array.from({ length: written - first }, (_, i) => first + i));
  });
  for (const name of await readdir(folder)) {
    const { size, mode } = await stat(join(folder, name));
    expect(size).toBeLessThan(BYTES_MAX + 1_000);
    expect(mode & 0o777).toBe(0o600);
  }
});

it('puts aside what it finds too long when it starts', async () => {
  await writeFile(join(folder, 'vafa.log'), '{}\n'.repeat(BYTES_MAX));
  const log = openLog({ folder, to: 'file', level: 'info', bytesMax: BYTES_MAX });
  log.loggerFor('points').info({ n: 1 }, 'said');
  log.flush();
  expect(await numbersIn('vafa.log')).toEqual([1]);
  expect((await stat(join(folder, 'vafa.log.old'))).size).toBe(3 * BYTES_MAX);
});
