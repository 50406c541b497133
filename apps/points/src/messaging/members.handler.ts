import { Controller, Inject } from '@nestjs/common';
import { Payload } from '@nestjs/microservices';
import type { EventDataOf } from '@vafa/contracts';
import { EventPagePattern, type InboundEvent } from '@vafa/messaging';
import { ActivityIntake } from '../application/activities.js';
import { PurchaseIntake } from '../application/intake.js';
import { References } from '../application/references.js';
import { ReturnIntake } from '../application/returns.js';

type Enrolled = EventDataOf<'loyalty.member.enrolled'>;

/** New members: who is behind which reference, and what waited for them. */
@Controller()
export class MembersHandler {
  constructor(
    @Inject(References) private readonly references: References,
    @Inject(PurchaseIntake) private readonly purchases: PurchaseIntake,
    @Inject(ReturnIntake) private readonly returns: ReturnIntake,
    @Inject(ActivityIntake) private readonly activities: ActivityIntake,
  ) {}

  @EventPagePattern('loyalty.member.enrolled')
  async enrolled(@Payload() page: readonly InboundEvent<Enrolled>[]): Promise<void> {
    const added = page.flatMap(({ data }) => referencesOf(data));
    // First the references, then what waits: what is parked in between looks for them once more itself.
    await this.references.add(added);
    const references = added.map((entry) => entry.reference);
    await this.purchases.takeUp(references);
    await this.returns.takeUp(references);
    await this.activities.takeUp(references);
  }
}

const referencesOf = ({ memberId, externalId, card }: Enrolled): { reference: string; memberId: string }[] => [
  { reference: `member:${memberId}`, memberId },
  ...(externalId === null ? [] : [{ reference: `external:${externalId}`, memberId }]),
  ...(card === null ? [] : [{ reference: `card:${card}`, memberId }]),
];
