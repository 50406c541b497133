export { createTestDatabase, type TestDatabase } from './test-database.js';
export { withTestDatabase } from './with-test-database.js';
