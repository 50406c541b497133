import { expect, it } from '@jest/globals';
import { serverProblem } from './startup-error.js';

const DENIED = 'FATAL:  could not open file "global/pg_filenode.map": Permission denied\n';

it('speaks of root only to root, where PostgreSQL may not reach its data', () => {
  const told = serverProblem(DENIED, '/data', false).message;
  expect(told).toContain('may not read or write below /data (could not open file');
  expect(told).toContain('VAFA_DATA');
  expect(told).not.toContain('root');
  expect(serverProblem(DENIED, '/data', true).message).toMatch(
    /^PostgreSQL refuses to run as root, .* cannot reach \/data/,
  );
});
