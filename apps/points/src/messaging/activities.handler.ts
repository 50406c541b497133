import { Controller, Inject } from '@nestjs/common';
import { Payload } from '@nestjs/microservices';
import { hashOfContent, type ActivityData } from '@vafa/contracts';
import { EventPagePattern, type InboundEvent } from '@vafa/messaging';
import { ActivityIntake } from '../application/activities.js';

/** Activities as they come by the bus, a page at a time. */
@Controller()
export class ActivitiesHandler {
  constructor(@Inject(ActivityIntake) private readonly intake: ActivityIntake) {}

  @EventPagePattern('commerce.activity.performed')
  async performed(@Payload() page: readonly InboundEvent<ActivityData>[]): Promise<void> {
    await this.intake.take(
      page.map(({ source, data, traceparent }) => ({
        kind: 'activity',
        source,
        naturalId: data.activityId,
        data,
        hash: hashOfContent(data),
        traceparent,
      })),
    );
  }
}
