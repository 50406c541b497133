import type { UnitOfWork } from '@vafa/persistence';

/**
 * A transaction without a database, for what is kept in memory: what was asked for after the commit runs when `work` resolves, and never
 * where it throws. Statements are refused.
 */
export const memoryTransaction = async <T>(work: (uow: UnitOfWork) => Promise<T>): Promise<T> => {
  const effects: (() => void)[] = [];
  const refuse = (): never => {
    throw new Error('this transaction has no database');
  };
  const result = await work({
    get manager() {
      return refuse();
    },
    get client() {
      return refuse();
    },
    query: async () => refuse(),
    copy: async () => refuse(),
    afterCommit: (effect) => void effects.push(effect),
  });
  for (const effect of effects) effect();
  return result;
};
