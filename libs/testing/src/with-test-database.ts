import { afterAll, beforeAll } from '@jest/globals';
import { createTestDatabase } from './test-database.js';
import type { TestDatabase } from './test-database.js';

/**
 * Gives the suite that calls it an empty database from its `beforeAll` on, and drops it at its end. Read `url` inside hooks and tests only.
 * Hooks run in the order in which they are written, so call this before those that need the database, and after the
 * `afterAll` that closes what is connected to it.
 */
export const withTestDatabase = (): { readonly url: string } => {
  let database: TestDatabase | undefined;
  beforeAll(async () => {
    database = await createTestDatabase();
  });
  afterAll(async () => {
    await database?.drop();
  });
  return {
    get url(): string {
      if (database === undefined) throw new Error('the test database exists inside hooks and tests only');
      return database.url;
    },
  };
};
