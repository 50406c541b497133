import { relative } from 'node:path';
import type { Standalone } from './standalone.js';

/** Says a line to the person at the terminal. */
export function tell(line: string): void {
  process.stdout.write(`${line}\n`);
}

/** Says what went wrong. */
export function complain(line: string): void {
  process.stderr.write(`${line}\n`);
}

/** The lines of `npm start -- --help`. */
export const HELP = `Usage: npm start [-- --help]

Starts the customer club in this terminal: an embedded PostgreSQL and every service in one process. Ctrl-C stops it in
order; a second Ctrl-C hurries. The data stays in .vafa until you delete that folder.

Settings are environment variables, as in VAFA_PORT=3001 npm start:
  VAFA_PORT           port of the HTTP API (3000)
  VAFA_HOST           address that it listens on (127.0.0.1)
  VAFA_DATA           folder of the database, its keys and the log (.vafa)
  VAFA_DATABASE_URL   a PostgreSQL of your own instead of the embedded one
  VAFA_LOG_TO         file (in VAFA_DATA) or stdout

"npm run vafa -- config" lists them all, "npm run vafa -- --help" what else there is.
`;

/** What is said once everything runs: where it is, and what to try next. */
export function announcement({ run, database }: Standalone, folder: string, elapsedMs: number): string {
  const near = relative(process.cwd(), folder);
  const shown = near === '' || near.startsWith('..') ? folder : near;
  return `
Vafa runs (ready in ${(elapsedMs / 1000).toFixed(1)} s).

  API        ${run.api}
  to read    ${run.api}/docs
  analysts   ${run.database}
  database   ${database.description}
  log        ${shown}/vafa.log

Try in a second terminal:
  npm run vafa -- import purchases FILE --enrol    takes in a shop's history (CSV or NDJSON)
  npm run vafa -- status                           says what runs where, and whether it is well
  npm run vafa -- token --role admin               a token for the API and its documentation

Ctrl-C stops it.
`;
}
