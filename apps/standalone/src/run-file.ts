import { readFile, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { RunFile } from '@vafa/service';

const fileIn = (folder: string): string => join(folder, 'run.json');

/** Appears whole or not at all, readable for this user alone. */
export async function writeRunFile(folder: string, run: RunFile): Promise<void> {
  const draft = `${fileIn(folder)}.${process.pid}`;
  await rm(draft, { force: true });
  await writeFile(draft, `${JSON.stringify(run, null, 2)}\n`, { mode: 0o600 });
  await rename(draft, fileIn(folder));
}

/** What the last start wrote; undefined when it has ended in order, or never was. */
export async function readRunFile(folder: string): Promise<RunFile | undefined> {
  try {
    return JSON.parse(await readFile(fileIn(folder), 'utf8')) as RunFile;
  } catch {
    return undefined;
  }
}

/** Says that nothing runs any more. */
export async function removeRunFile(folder: string): Promise<void> {
  await rm(fileIn(folder), { force: true });
}
