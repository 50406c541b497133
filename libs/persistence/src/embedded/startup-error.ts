/**
 * Why the embedded PostgreSQL could not start, as one sentence for the person at the keyboard.
 * Whoever catches it prints the message alone: the stack says nothing that helps them.
 */
export class StartupError extends Error {
  override readonly name = 'StartupError';
}

/** The sentence for what the file system refused, or undefined for an error that is not about files. */
export function fileProblem(error: unknown, folder: string): StartupError | undefined {
  switch (errorCode(error)) {
    case 'EACCES':
    case 'EPERM':
      return new StartupError(
        `The folder ${folder} cannot be written: give this user the right to, or set VAFA_DATA to another folder.`,
      );
    case 'EROFS':
      return new StartupError(
        `The folder ${folder} is on a read-only file system: set VAFA_DATA to a folder that can be written.`,
      );
    case 'ENOSPC':
    case 'EDQUOT':
      return new StartupError(
        `The disk that holds ${folder} is full: free some space, or set VAFA_DATA to a folder elsewhere.`,
      );
    case 'ENOTDIR':
    case 'EEXIST':
      return new StartupError(`${folder} is, or lies under, a file: set VAFA_DATA to a folder.`);
    default:
      return undefined;
  }
}

/** The `code` of a system error, if it has one. */
export function errorCode(error: unknown): string | undefined {
  // Not `instanceof`: errors of the system come from another realm where the code runs in a sandbox.
  if (typeof error !== 'object' || error === null || !('code' in error)) return undefined;
  return typeof error.code === 'string' ? error.code : undefined;
}

/** What PostgreSQL or initdb wrote before they gave up, told in one sentence where the cause is a known one. */
export function serverProblem(
  output: string,
  dataDir: string,
  isRoot: boolean = process.getuid?.() === 0,
): StartupError {
  if (/No space left on device|Disk quota exceeded/i.test(output))
    return new StartupError(
      `The disk that holds ${dataDir} is full: free some space, or set VAFA_DATA to a folder elsewhere.`,
    );
  if (
    /could not create shared memory segment|could not map anonymous shared memory|Cannot allocate memory/i.test(output)
  )
    return new StartupError(
      'PostgreSQL got no memory from the system: free some, or set VAFA_DATABASE_URL to a PostgreSQL that runs elsewhere.',
    );
  if (/error while loading shared libraries|cannot execute binary file|not found \(required by/i.test(output))
    return new StartupError(
      `The PostgreSQL that came with the packages does not run on this system (${lastLine(output)}): set VAFA_DATABASE_URL to a PostgreSQL of your own.`,
    );
  if (/Permission denied/i.test(output))
    return isRoot
      ? unreachable(dataDir, 'it runs as instead')
      : new StartupError(
          `PostgreSQL may not read or write below ${dataDir} (${lastLine(output)}): give this user the right to, or set VAFA_DATA to another folder.`,
        );
  return new StartupError(`PostgreSQL did not start on ${dataDir}: ${lastLine(output)}`);
}

/** The sentence for a folder below one that the database's user may not enter. */
export function unreachable(folder: string, user: string): StartupError {
  return new StartupError(
    `PostgreSQL refuses to run as root, and the user ${user} cannot reach ${folder}: ` +
      'start as an ordinary user, or move the checkout and VAFA_DATA to where everyone may enter (such as /srv/vafa).',
  );
}

/** The line that names the cause: the last one at a level that ends the server, else the last one at all. */
function lastLine(output: string): string {
  const lines = output
    .split('\n')
    .map((line) => line.trim())
    .filter((line) => line !== '');
  const fatal = lines.filter((line) => /\b(FATAL|PANIC|error):/i.test(line));
  return (fatal.at(-1) ?? lines.at(-1) ?? 'it said nothing').replace(/^.*?\b(FATAL|PANIC|error):\s*/i, '');
}
