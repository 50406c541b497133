export {
  anEvent,
  eventStoreContract,
  eventStoreFaultContract,
  type EventStoreHarness,
  type FaultyEventStoreHarness,
} from './event-store-contract.js';
export { dropKafkaTopics, endKafkaGroup, kafkaPrefix, testKafka, withAdmin, type TestKafka } from './test-kafka.js';
export {
  EventStoreDbStandIn,
  type StandInFaults,
  type StandInOptions,
} from './eventstoredb-stand-in/stand-in-server.js';
export { STAND_IN_HARMS, harm, type HarmOptions, type RandomBelow } from './eventstoredb-stand-in/harms.js';
export { createTestDatabase, type TestDatabase } from './test-database.js';
export { withTestDatabase } from './with-test-database.js';
export { deferred, eventually, type Deferred } from './eventually.js';
export { FreezingProxy } from './freezing-proxy.js';
export { IDENTITY_PROVIDER_AUDIENCE, IdentityProvider } from './identity-provider.js';
export { KAFKA_REQUEST, KafkaProxy, type RequestFate } from './kafka-proxy.js';
export { lives } from './lives.js';
export { memoryTransaction } from './memory-transaction.js';
export { messageBusContract, type MessageBusHarness } from './message-bus-contract.js';
export { deciderSpec, type Expectation, type Given } from './decider-spec.js';
export { selfSignedCertificate } from './self-signed-certificate.js';
export { startTestService } from './test-service.js';
export type { TestAnswer, TestRequest, TestService, TestServiceOptions } from './test-service.js';
export { transportContract } from './transport-contract.js';
export type { TransportHarness } from './transport-parts.js';
