import { readFile, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';

/** What a running installation tells the commands on the same machine, in `run.json` of its data folder. */
export type RunFile = {
  readonly pid: number;
  /** An instant in UTC. */
  readonly startedAt: string;
  readonly version: string;
  /** Base address of the HTTP API. */
  readonly api: string;
  /** What analysts connect with. */
  readonly database: string;
  /** What the owner of all schemas connects with: the reason why only this user may read the file. */
  readonly databaseOwner: string;
  readonly services: Readonly<Record<string, { readonly health: string; readonly metrics: string }>>;
};

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
