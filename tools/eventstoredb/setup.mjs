// Finds the server of the suite that needs a real EventStoreDB, before it runs: the one of VAFA_TEST_EVENTSTOREDB_URL, else one in a container where
// an engine answers, else none, which a line says; with VAFA_TEST_EVENTSTOREDB_REQUIRED=1 that is a failure.

// Of the last series under an open source licence; the one that the recorded cases are from.
const IMAGE = 'eventstore/eventstore:23.10.0-jammy';
const START_TIMEOUT_MS = 180_000;
const PORT = 2113;

export default async function setup() {
  if ((process.env.VAFA_TEST_EVENTSTOREDB_URL ?? '') !== '') return;
  try {
    await startContainer();
  } catch (error) {
    const line =
      'The suite on a real EventStoreDB did not run: VAFA_TEST_EVENTSTOREDB_URL is not set, and no container engine answers ' +
      `(${firstLine(error)}). Set it, as in VAFA_TEST_EVENTSTOREDB_URL=esdb://127.0.0.1:2113?tls=false, or start Docker.`;
    if (process.env.VAFA_TEST_EVENTSTOREDB_REQUIRED === '1') throw new Error(line, { cause: error });
    process.stderr.write(`\n${line}\n\n`);
  }
}

async function startContainer() {
  const { GenericContainer, Wait } = await import('testcontainers');
  const container = await new GenericContainer(IMAGE)
    .withExposedPorts(PORT)
    .withEnvironment({ EVENTSTORE_INSECURE: 'true', EVENTSTORE_CLUSTER_SIZE: '1', EVENTSTORE_MEM_DB: 'true' })
    .withWaitStrategy(Wait.forHttp('/health/live', PORT).forStatusCode(204))
    .withStartupTimeout(START_TIMEOUT_MS)
    .start();
  globalThis.vafaTestEventStoreDb = container;
  process.env.VAFA_TEST_EVENTSTOREDB_URL = `esdb://${container.getHost()}:${container.getMappedPort(PORT)}?tls=false`;
}

const firstLine = (error) => String(error?.message ?? error).split('\n')[0];
