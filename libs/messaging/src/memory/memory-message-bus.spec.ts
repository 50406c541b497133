import { memoryTransaction, messageBusContract, type MessageBusHarness } from '@vafa/testing';
import { MemoryMessageBus } from './memory-message-bus.js';

const start = async (): Promise<MessageBusHarness> => {
  const bus = new MemoryMessageBus();
  return { open: () => bus, transaction: memoryTransaction, close: () => bus.close() };
};

messageBusContract('MemoryMessageBus', start, { crashes: false });
