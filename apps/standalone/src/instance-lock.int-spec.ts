import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { existsSync } from 'node:fs';
import { mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { lockFolder } from './instance-lock.js';
import { writeRunFile } from './run-file.js';

let folder: string;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'vafa-lock-'));
});

afterEach(() => rm(folder, { recursive: true, force: true }));

describe('the lock on a data folder', () => {
  it('keeps a second one out, tells where the first is, and is gone when released', async () => {
    const lock = await lockFolder(folder);
    await writeRunFile(folder, {
      pid: process.pid,
      startedAt: '2026-11-22T08:00:00Z',
      version: '1.2.3',
      api: 'http://127.0.0.1:3000',
      database: 'postgresql://analyst@127.0.0.1/vafa',
      databaseOwner: 'postgresql://vafa@127.0.0.1/vafa',
      services: {},
    });
    await expect(lockFolder(folder)).rejects.toThrow(`process ${process.pid}, at http://127.0.0.1:3000`);
    await lock.release();
    expect(await readdir(folder)).toEqual(['run.json']);
    await (await lockFolder(folder)).release();
  });

  it.each([
    ['a process that has ended', JSON.stringify({ pid: 4_194_303, began: 'another time' })],
    ['a process whose number is now another’s', JSON.stringify({ pid: process.pid, began: 'another time' })],
    ['a file that is no lock', 'half of a li'],
  ])('is taken over from %s', async (_case, content) => {
    await writeFile(join(folder, 'running.lock'), content);
    const lock = await lockFolder(folder);
    expect(existsSync(join(folder, 'running.lock'))).toBe(true);
    await lock.release();
    expect(await readdir(folder)).toEqual([]);
  });
});
