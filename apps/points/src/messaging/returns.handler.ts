import { Controller, Inject } from '@nestjs/common';
import { Payload } from '@nestjs/microservices';
import { hashOfContent, type ReturnData } from '@vafa/contracts';
import { EventPagePattern, type InboundEvent } from '@vafa/messaging';
import { ReturnIntake } from '../application/returns.js';

/** Returns as they come by the bus, a page at a time. */
@Controller()
export class ReturnsHandler {
  constructor(@Inject(ReturnIntake) private readonly intake: ReturnIntake) {}

  @EventPagePattern('commerce.purchase.returned')
  async returned(@Payload() page: readonly InboundEvent<ReturnData>[]): Promise<void> {
    await this.intake.take(
      page.map(({ source, data, traceparent }) => ({
        kind: 'return',
        source,
        naturalId: data.returnId,
        data,
        hash: hashOfContent(data),
        traceparent,
      })),
    );
  }
}
