import { EventStoreDbStandIn, eventStoreContract, eventStoreFaultContract } from '@vafa/testing';
import type { FaultyEventStoreHarness } from '@vafa/testing';
import { EventStoreDbEventStore } from './eventstoredb-event-store.js';

/** Short enough that a test of what is given up does not wait long; the machine may be slow all the same. */
const GIVEN_UP_AFTER_MS = 4_000;

const onStandIn = async (): Promise<FaultyEventStoreHarness> => {
  // Commits are held up for a while, which on a busy machine is longer than it was meant to be.
  const standIn = await EventStoreDbStandIn.start({ writeTimeoutMs: 20_000 });
  return {
    open: () => EventStoreDbEventStore.connect({ url: standIn.url, retryForMs: GIVEN_UP_AFTER_MS }),
    stallCommits: async (streamId) => {
      const release = standIn.stall(streamId);
      return async () => release();
    },
    breakConnections: async () => standIn.cut(),
    close: () => standIn.stop(),
  };
};

eventStoreContract('EventStoreDbEventStore on the stand-in', onStandIn);
eventStoreFaultContract('EventStoreDbEventStore on the stand-in', onStandIn);
