import { Controller, Inject } from '@nestjs/common';
import { Payload } from '@nestjs/microservices';
import { hashOfContent, type PurchaseData } from '@vafa/contracts';
import { EventPagePattern, type InboundEvent } from '@vafa/messaging';
import { PurchaseIntake } from '../application/intake.js';

/** Purchases as they come by the bus, a page at a time. */
@Controller()
export class PurchasesHandler {
  constructor(@Inject(PurchaseIntake) private readonly intake: PurchaseIntake) {}

  @EventPagePattern('commerce.purchase.completed')
  async completed(@Payload() page: readonly InboundEvent<PurchaseData>[]): Promise<void> {
    await this.intake.take(
      page.map(({ source, data, traceparent }) => ({
        kind: 'purchase',
        source,
        naturalId: data.purchaseId,
        data,
        hash: hashOfContent(data),
        traceparent,
      })),
    );
  }
}
