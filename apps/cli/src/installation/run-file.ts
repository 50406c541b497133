import { readFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import type { RunFile } from '@vafa/service/commands';
import { codeOf } from '../errors.js';
import { Refusal, UsageError, type Surroundings } from '../command.js';

const text = (env: Surroundings['env'], name: string): string | undefined => {
  const value = env[name]?.trim();
  return value === undefined || value === '' ? undefined : value;
};

/** The folder with the running state, the keys and the checkpoints of imports. */
export const dataFolder = ({ env, root }: Pick<Surroundings, 'env' | 'root'>): string =>
  resolve(root, text(env, 'VAFA_DATA') ?? '.vafa');

const isRunFile = (value: unknown): value is RunFile =>
  typeof value === 'object' && value !== null && 'pid' in value && 'api' in value && typeof value.api === 'string';

/** What the last start wrote, whether it still runs or not; nothing where there is none. */
export const readRunFile = async (folder: string): Promise<RunFile | undefined> => {
  try {
    const value: unknown = JSON.parse(await readFile(join(folder, 'run.json'), 'utf8'));
    return isRunFile(value) ? value : undefined;
  } catch {
    return undefined;
  }
};

/** Whether a process with this id lives. One that belongs to somebody else lives, too. */
export const isAlive = (pid: number): boolean => {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return codeOf(error) === 'EPERM';
  }
};

/** @throws Refusal where nothing runs here. */
export const runningInstallation = async (surroundings: Surroundings): Promise<RunFile> => {
  const run = await readRunFile(dataFolder(surroundings));
  if (run !== undefined && isAlive(run.pid)) return run;
  throw new Refusal(
    'Vafa does not run here: start it with "npm start" (VAFA_DATA names its folder if that is not .vafa).',
  );
};

/** Where the API is: `VAFA_API_URL`, or what the running installation says. */
export const apiAddress = async (surroundings: Surroundings): Promise<string> => {
  const given = text(surroundings.env, 'VAFA_API_URL');
  if (given !== undefined && !/^https?:\/\/./.test(given))
    throw new UsageError(`VAFA_API_URL must be an address such as http://127.0.0.1:3000, not "${given}".`);
  return (given ?? (await runningInstallation(surroundings)).api).replace(/\/+$/, '');
};
