import { outgoingEvent, type OutgoingEvent } from '@vafa/contracts';
import { enqueueEvents, type MessageBus } from '@vafa/messaging';
import type { UnitOfWork } from '@vafa/persistence';
import type { Member } from '../application/member.entity.js';

export const SOURCE = '/vafa/members';

/** Tells of new members, in the transaction that makes them: either both happen or neither. Call it last. */
export async function publishEnrolled(uow: UnitOfWork, bus: MessageBus, members: readonly Member[]): Promise<void> {
  if (members.length > 0) await enqueueEvents(uow, bus, members.map(enrolledEvent));
}

/** `loyalty.member.enrolled`. A member enrols once, so the id of the event follows from the member's. */
export const enrolledEvent = (member: Member): OutgoingEvent<'loyalty.member.enrolled'> => {
  const { memberId, externalId, card, source } = member;
  return outgoingEvent({
    type: 'loyalty.member.enrolled',
    id: `enrolled-${memberId}`,
    source: SOURCE,
    key: memberId,
    time: member.enrolledAt,
    data: { memberId, externalId, card, enrolledAt: member.enrolledAt.toString(), source },
  });
};
