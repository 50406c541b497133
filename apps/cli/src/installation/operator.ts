import { userInfo } from 'node:os';

import type { AuditRecord } from '@vafa/service/commands';
import type pg from 'pg';

/** One connection as the library of the services asks it. */
export type OwnerDatabase = { query<Row>(sql: string, parameters?: readonly unknown[]): Promise<Row[]> };

export const databaseOf = (client: pg.Client): OwnerDatabase => ({
  query: async <Row>(sql: string, parameters: readonly unknown[] = []) =>
    (await client.query(sql, [...parameters])).rows as Row[],
});

/** Who sits at this command line, as the system knows them. */
export const operatorName = (): string => {
  try {
    return userInfo().username;
  } catch {
    // A user id without a name, as containers have them.
    return `uid:${process.getuid?.() ?? 'unknown'}`;
  }
};

/** What the entry of an act says besides who and when. */
export type Act = Pick<AuditRecord, 'action' | 'subject' | 'details'>;

/** Does something that no service is asked for, in one transaction with its entry in the audit. */
export const audited = async (database: OwnerDatabase, act: () => Promise<Act>): Promise<void> => {
  const { Audit } = await import('@vafa/service/commands');
  const actor = { subject: operatorName(), role: 'operator', clientId: 'vafa-cli', requestId: null } as const;
  await database.query('begin');
  try {
    await new Audit('cli', database).record(database, { actor, ...(await act()) });
    await database.query('commit');
  } catch (error) {
    await database.query('rollback').catch(() => undefined);
    throw error;
  }
};
