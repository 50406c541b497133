// Ends the container that setup.mjs started, if it did.
export default async function teardown() {
  await globalThis.vafaTestEventStoreDb?.stop();
}
