import { expect, it } from '@jest/globals';
import { tellLetters } from './consumer.js';
import { createLogger } from './logger.js';

it('tells of the dead letters of a page in one line', () => {
  const lines: string[] = [];
  const destination = { write: (line: string) => void lines.push(line) };
  const logger = createLogger({ name: 'echo', level: 'info', destination, readable: false });
  const letters = Array.from({ length: 2_000 }, (_, i) => ({
    topic: 'commerce.purchases',
    kind: i === 0 ? 'failed' : 'invalid',
    reason: `reason ${i % 7}`,
  }));
  tellLetters(logger, letters);
  tellLetters(logger, letters.slice(0, 1));
  expect(lines.map((line) => JSON.parse(line) as unknown)).toMatchObject([
    {
      level: 'warn',
      msg: '2000 messages went to the dead letters',
      topics: ['commerce.purchases'],
      kinds: { failed: 1, invalid: 1_999 },
      reasons: ['reason 0', 'reason 1', 'reason 2', 'reason 3', 'reason 4'],
    },
    { level: 'warn', msg: 'a message went to the dead letters', kinds: { failed: 1 }, reasons: ['reason 0'] },
  ]);
});
