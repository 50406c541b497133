import type { MemberReference } from '@vafa/contracts';
import type { Database } from '@vafa/persistence';
import { Member } from './member.entity.js';

/** Finds the member that a reference means; `null` where there is none. */
export async function findMember(database: Database, reference: MemberReference): Promise<Member | null> {
  const members = database.repository(Member);
  switch (reference.kind) {
    case 'member':
      return members.findOneBy({ memberId: reference.id });
    case 'card':
      return members.findOneBy({ card: reference.number });
    case 'external':
      return members.findOneBy({ externalId: reference.id });
  }
}
