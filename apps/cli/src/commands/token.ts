import type { MintRequest } from '@vafa/service/commands';

import { messageOf } from '../errors.js';
import {
  line,
  Refusal,
  text,
  UsageError,
  type Command,
  type CommandInput,
  type ExitCode,
  type Surroundings,
} from '../command.js';
import { openIssuer } from '../installation/credentials.js';
import { audited, databaseOf } from '../installation/operator.js';
import { withOwnerDatabase } from '../installation/owner-database.js';
import { dataFolder, isAlive, readRunFile } from '../installation/run-file.js';
import { didYouMean } from '../suggest.js';

/** Seconds of a lifetime such as `30m`, `12h`, `90d` or an ISO 8601 duration. */
const seconds = (given: string): number => {
  const short = /^(\d{1,9})(s|m|h|d)$/.exec(given);
  if (short !== null) return Number(short[1]) * { s: 1, m: 60, h: 3_600, d: 86_400 }[short[2] as 's' | 'm' | 'h' | 'd'];
  try {
    return Temporal.Duration.from(given).total({ unit: 'seconds', relativeTo: Temporal.Now.plainDateISO() });
  } catch {
    throw new UsageError(`--expires takes a lifetime such as 30m, 12h or 90d, not "${given}".`);
  }
};

/** While nothing runs there is no audit to write to, and nobody to show the token to. */
const isInstallationThere = async (surroundings: Surroundings): Promise<boolean> => {
  const found = await readRunFile(dataFolder(surroundings));
  return surroundings.env['VAFA_DATABASE_URL'] !== undefined || (found !== undefined && isAlive(found.pid));
};

const record = (surroundings: Surroundings, { role, memberId, expiresIn }: MintRequest): Promise<void> =>
  withOwnerDatabase(surroundings, (client) =>
    audited(databaseOf(client), () => {
      const subject = memberId === undefined ? `role:${role}` : `member:${memberId}`;
      const details = { role, ...(expiresIn !== undefined && { expiresInSeconds: expiresIn }) };
      return Promise.resolve({ action: 'tokens.minted', subject, details });
    }),
  );

const run = async ({ options, surroundings }: CommandInput): Promise<ExitCode> => {
  const { ROLES } = await import('@vafa/service/commands');
  const given = text(options, 'role');
  if (given === undefined) throw new UsageError(`"token" needs --role: ${ROLES.join(', ')}.`);
  const role = ROLES.find((name) => name === given);
  if (role === undefined)
    throw new UsageError(`There is no role "${given}".${didYouMean(given, ROLES)} There are: ${ROLES.join(', ')}.`);
  const memberId = text(options, 'member');
  if ((role === 'member') !== (memberId !== undefined))
    throw new UsageError('--member goes with the role member, and that role needs it.');
  const lifetime = text(options, 'expires');
  const issuer = await openIssuer(surroundings);
  const request = {
    role,
    ...(memberId === undefined ? {} : { memberId }),
    ...(lifetime === undefined ? {} : { expiresIn: Math.round(seconds(lifetime)) }),
  };
  const minted = await issuer.mint(request).catch((error: unknown) => {
    throw new Refusal(`${messageOf(error)}.`);
  });
  if (await isInstallationThere(surroundings)) await record(surroundings, request);
  line(surroundings.stdout, minted);
  return 0;
};

export const token: Command = {
  name: 'token',
  summary: 'Prints a bearer token of the embedded issuer, and nothing else.',
  options: {
    role: {
      type: 'string',
      value: 'ROLE',
      description: 'What its holder may do: admin, service, support, analyst, member, …',
    },
    member: { type: 'string', value: 'ID', description: 'The member it belongs to; for the role member only.' },
    expires: {
      type: 'string',
      value: 'TIME',
      description: 'How long it is good for: 30m, 12h, 90d; 12 hours by default.',
    },
  },
  notes: [
    'In production tokens come from your identity provider, and this is refused.',
    'While the club runs, the audit says for which role or member one was printed, and by whom.',
  ],
  positionals: { min: 0, max: 0 },
  run,
};
