import { formatReference, parsePathReference } from '@vafa/contracts';
import { ensureReaches, PROBLEMS, ProblemException, type Principal } from '@vafa/service';
import type { References } from '../application/references.js';
import { POINTS_PROBLEMS } from './problems.js';

/** The member of a path in OpenAPI. */
export const REF = { name: 'ref', description: 'The id of a member, `card:<number>` or `external:<id>`.' };

/** The member behind a path's reference. A member gets no further than to their own data, whether the other exists or not. */
export const pathMember = async (references: References, ref: string, principal: Principal): Promise<string> => {
  const parsed = parsePathReference(ref);
  if (parsed === undefined)
    throw new ProblemException(PROBLEMS['invalid-parameter'], {
      errors: [{ in: 'path', pointer: '/ref', detail: 'must be a member id, card:<number> or external:<id>' }],
    });
  const reference = formatReference(parsed);
  const memberId = (await references.resolvePatiently([reference])).get(reference);
  if (principal.role === 'member') ensureReaches(principal, memberId ?? '');
  if (memberId === undefined) throw new ProblemException(POINTS_PROBLEMS['unknown-member']);
  return memberId;
};
