import { readFileSync } from 'node:fs';

const swc = JSON.parse(readFileSync(new URL('./.swcrc', import.meta.url), 'utf8'));

/**
 * Three suites by speed: `unit` does no I/O, `int` has one real part (PostgreSQL), `e2e` is the whole. `kafka` and `eventstoredb` need such a
 * server besides.
 * Workspace packages resolve to their sources, so that no build is needed to test.
 */
const shared = {
  testEnvironment: 'node',
  extensionsToTreatAsEsm: ['.ts'],
  transform: { '^.+\\.ts$': ['@swc/jest', { ...swc, swcrc: false, sourceMaps: 'inline' }] },
  moduleNameMapper: {
    '^@vafa/([a-z-]+)$': ['<rootDir>/libs/$1/src/index.ts', '<rootDir>/apps/$1/src/index.ts'],
    '^@vafa/persistence/embedded$': '<rootDir>/libs/persistence/src/embedded/embedded-postgres.ts',
    '^(\\.{1,2}/.*)\\.js$': '$1',
  },
  modulePathIgnorePatterns: ['/dist/', '<rootDir>/.nx/', '<rootDir>/.vafa/'],
  setupFiles: ['<rootDir>/tools/jest-setup.mjs'],
};

export default {
  // Room for a busy machine with few cores: what waits for a condition gives up sooner, and says for which.
  testTimeout: 180_000,
  projects: [
    { ...shared, displayName: 'unit', testMatch: ['<rootDir>/{libs,apps,tools,bench}/**/*.spec.{ts,mjs}'] },
    { ...shared, displayName: 'int', testMatch: ['<rootDir>/{libs,apps,tools}/**/*.int-spec.{ts,mjs}'] },
    { ...shared, displayName: 'e2e', testMatch: ['<rootDir>/{libs,apps}/**/*.e2e-spec.ts'] },
    {
      ...shared,
      displayName: 'kafka',
      testMatch: ['<rootDir>/{libs,apps,tools}/**/*.kafka-spec.{ts,mjs}'],
      globalSetup: '<rootDir>/tools/kafka/setup.mjs',
      globalTeardown: '<rootDir>/tools/kafka/teardown.mjs',
    },
    {
      ...shared,
      displayName: 'eventstoredb',
      testMatch: ['<rootDir>/libs/**/*.eventstoredb-spec.ts'],
      globalSetup: '<rootDir>/tools/eventstoredb/setup.mjs',
      globalTeardown: '<rootDir>/tools/eventstoredb/teardown.mjs',
    },
  ],
};
