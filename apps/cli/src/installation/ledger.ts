import type { OpenLedger } from '@vafa/service/commands';

import { Refusal, type Surroundings } from '../command.js';
import { messageOf, nameOf } from '../errors.js';
import { ownerUrl } from './owner-database.js';

type Kind = OpenLedger['kind'];

/** Opens the ledger where it lives, or the store that is named, and closes it. @throws Refusal where it cannot be reached. */
export const withLedger = async <Result>(
  surroundings: Surroundings,
  work: (ledger: OpenLedger) => Promise<Result>,
  kind?: Kind,
): Promise<Result> => {
  const { openLedger } = await import('@vafa/service/commands');
  const databaseUrl = await ownerUrl(surroundings);
  const ledger = await openLedger({ databaseUrl, env: surroundings.env, ...(kind !== undefined && { kind }) }).catch(
    (error: unknown) => {
      // These have their sentence for the person at the keyboard.
      if (['StartupError', 'ConfigError'].includes(nameOf(error) ?? '')) throw new Refusal(messageOf(error));
      throw error;
    },
  );
  try {
    return await work(ledger);
  } finally {
    await ledger.close();
  }
};
