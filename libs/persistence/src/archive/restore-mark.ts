import type pg from 'pg';
import { StartupError } from '../embedded/startup-error.js';

/** Stands in a database for as long as a backup is being put into it. */
export const RESTORE_SCHEMA = 'vafa_restore';

/** @throws StartupError that says what to do where a restore was cut off. */
export const refuseHalfRestored = async (client: pg.Client): Promise<void> => {
  const { rows: found } = await client.query<{ there: boolean }>(
    `select to_regclass('${RESTORE_SCHEMA}.unfinished') is not null as there`,
  );
  if (found[0]?.there !== true) return;
  const { rows } = await client.query<{ file: string; at: string }>(
    `select file, to_char(begun_at at time zone 'UTC', 'YYYY-MM-DD HH24:MI "UTC"') as at from ${RESTORE_SCHEMA}.unfinished order by begun_at desc limit 1`,
  );
  const { file = 'a backup', at = 'some time ago' } = rows[0] ?? {};
  throw new StartupError(
    `The restore of ${file}, begun ${at}, was cut off and the database is only half there: run "npm run vafa -- restore FILE" again, with this backup or another.`,
  );
};
