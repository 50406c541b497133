import type { DynamicModule } from '@nestjs/common';
import type { ServiceContext } from '@vafa/service';
import { Enrolment } from './application/enrolment.js';
import type { MembersConfig } from './config.js';
import { DATABASE, MembersController } from './http/members.controller.js';

class MembersModule {}

/** All wiring of the service. */
export const membersModule = ({ config, database, bus, clock }: ServiceContext<MembersConfig>): DynamicModule => ({
  module: MembersModule,
  controllers: [MembersController],
  providers: [
    { provide: Enrolment, useValue: new Enrolment({ database, bus, clock, cardPrefix: config.cardPrefix }) },
    { provide: DATABASE, useValue: database },
  ],
});
