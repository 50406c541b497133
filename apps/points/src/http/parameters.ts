import { PROBLEMS, ProblemException } from '@vafa/service';
import { PAGE_SIZE_DEFAULT, PAGE_SIZE_MAX } from '../read-models/queries.js';

/** A parameter of the query that is not what it has to be. */
export const parameterProblem = (name: string, detail: string): ProblemException =>
  new ProblemException(PROBLEMS['invalid-parameter'], { errors: [{ in: 'query', pointer: `/${name}`, detail }] });

/** The `limit` of a page, 50 unless told. @throws ProblemException 400 for anything but 1 to 500. */
export const pageSize = (limit: unknown): number => {
  const size =
    limit === undefined ? PAGE_SIZE_DEFAULT : typeof limit === 'string' && /^\d{1,4}$/.test(limit) ? Number(limit) : 0;
  if (size >= 1 && size <= PAGE_SIZE_MAX) return size;
  throw parameterProblem('limit', `must be a whole number from 1 to ${PAGE_SIZE_MAX}`);
};

/** A parameter that is given once. @throws ProblemException 400 where it is given more often. */
export const text = (name: string, value: unknown): string => {
  if (typeof value === 'string') return value;
  throw parameterProblem(name, 'must be given once');
};
