import { afterAll, beforeAll } from '@jest/globals';
import { decodeMessage, type OutboundCloudEvent } from '@vafa/contracts';
import type { ReceivedMessage, Subscription } from '@vafa/messaging';
import { FixedClock } from '@vafa/service';
import { startTestService, withTestDatabase, type TestService } from '@vafa/testing';
import { membersService, type MembersConfig } from '../src/index.js';

export const NOW = '2026-11-22T09:30:00Z';

/** The members service on a real database and a real bus, for one suite, and what it publishes. */
export const withClub = () => {
  const messages: ReceivedMessage[] = [];
  let running: TestService<MembersConfig> | undefined;
  let subscription: Subscription | undefined;

  // Hooks run in the order in which they are written: the service goes before its database does.
  afterAll(async () => {
    await subscription?.close();
    await running?.close();
  });
  const database = withTestDatabase();

  beforeAll(async () => {
    running = await startTestService(membersService, {
      url: database.url,
      adapters: 'postgres',
      clock: new FixedClock(NOW),
    });
    subscription = await running.context.bus.subscribe({
      group: 'test',
      topics: ['loyalty.members'],
      pageSize: 1_000,
      handler: async (page) => void messages.push(...page.messages),
    });
  });

  return {
    get running(): TestService<MembersConfig> {
      if (running === undefined) throw new Error('the club exists inside hooks and tests only');
      return running;
    },
    get databaseUrl(): string {
      return database.url;
    },
    /** What came over the topic so far, each checked against its contract. */
    get published(): OutboundCloudEvent[] {
      return messages.map(({ value, headers, key }) => {
        const decoded = decodeMessage(value, { headers, key });
        if (!decoded.ok) throw new Error(decoded.detail);
        return decoded.event as OutboundCloudEvent;
      });
    },
  };
};
