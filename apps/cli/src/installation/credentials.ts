import { join } from 'node:path';

import type { EmbeddedIssuer, Role } from '@vafa/service/commands';

import { Refusal, type Surroundings } from '../command.js';
import { operatorName } from './operator.js';
import { dataFolder } from './run-file.js';

const LIFETIME_SECONDS = 3_600;
const RENEW_BEFORE_SECONDS = 300;

export type Credentials = { token(): Promise<string> };

/** The issuer whose key the running installation trusts. @throws Refusal in production. */
export const openIssuer = async (surroundings: Surroundings): Promise<EmbeddedIssuer> => {
  const production = surroundings.env['VAFA_ENVIRONMENT']?.trim() === 'production';
  if (production)
    throw new Refusal(
      'In production tokens come from your identity provider, and the embedded issuer mints none: set VAFA_TOKEN to one of those.',
    );
  // Loaded where it is needed: the library of the services takes longer to load than most commands to run.
  const service = await import('@vafa/service/commands');
  return service.EmbeddedIssuer.open({ folder: join(dataFolder(surroundings), 'keys'), production });
};

/** The bearer token of the commands: `VAFA_TOKEN`, or one minted here and renewed in time. */
export const credentials = (surroundings: Surroundings, role: Role): Credentials => {
  const given = surroundings.env['VAFA_TOKEN']?.trim();
  if (given !== undefined && given !== '') return { token: () => Promise.resolve(given) };
  let minted: { readonly token: string; readonly renewAt: number } | undefined;
  const mint = async (): Promise<string> => {
    const issuer = await openIssuer(surroundings);
    const token = await issuer.mint({
      role,
      subject: operatorName(),
      clientId: 'vafa-cli',
      expiresIn: LIFETIME_SECONDS,
    });
    minted = { token, renewAt: performance.now() + (LIFETIME_SECONDS - RENEW_BEFORE_SECONDS) * 1_000 };
    return token;
  };
  return {
    token: () => (minted === undefined || performance.now() > minted.renewAt ? mint() : Promise.resolve(minted.token)),
  };
};
