import { describe, it } from '@jest/globals';
import { eventStoreContract } from '@vafa/testing';
import { EventStoreDbEventStore } from './eventstoredb-event-store.js';

// The setup of this suite looks for a server, and says so where it finds none.
const url = process.env['VAFA_TEST_EVENTSTOREDB_URL'] ?? '';

if (url === '')
  describe('EventStoreDbEventStore', () => it.skip('keeps the contract on a real server', () => undefined));
else
  eventStoreContract('EventStoreDbEventStore on a real server', async () => ({
    open: () => EventStoreDbEventStore.connect({ url }),
    close: async () => undefined,
  }));
