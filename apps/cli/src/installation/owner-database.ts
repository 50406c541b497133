import pg from 'pg';

import { messageOf } from '../errors.js';
import { Refusal, type Surroundings } from '../command.js';
import { runningInstallation } from './run-file.js';

/** The URL with which every schema can be read: `VAFA_DATABASE_URL`, or the embedded database's own. */
export const ownerUrl = async (surroundings: Surroundings): Promise<string> => {
  const given = surroundings.env['VAFA_DATABASE_URL']?.trim();
  if (given !== undefined && given !== '') return given;
  const { databaseOwner } = await runningInstallation(surroundings);
  if (databaseOwner !== undefined) return databaseOwner;
  throw new Refusal('The address of the database is not known here: set VAFA_DATABASE_URL as for the services.');
};

/** Runs `work` on one connection of the database's owner and closes it. @throws Refusal where it cannot be reached. */
export const withOwnerDatabase = async <Result>(
  surroundings: Surroundings,
  work: (client: pg.Client) => Promise<Result>,
): Promise<Result> => {
  const client = new pg.Client({ connectionString: await ownerUrl(surroundings), application_name: 'vafa-cli' });
  // A connection that breaks while nothing is asked of it emits an error; the next query reports it.
  client.on('error', () => undefined);
  try {
    await client.connect();
  } catch (error) {
    const cause = messageOf(error);
    throw new Refusal(`The database cannot be reached (${cause}).`);
  }
  try {
    return await work(client);
  } finally {
    await client.end();
  }
};
