import { eventStoreContract } from '@vafa/testing';
import { MemoryEventStore, MemoryLog } from './memory-event-store.js';

eventStoreContract('MemoryEventStore', async () => {
  const log = new MemoryLog();
  return { open: async () => new MemoryEventStore(log), close: async () => undefined };
});
