import type { DynamicModule } from '@nestjs/common';
import { Audit, AuditController, type ServiceContext } from '@vafa/service';
import { Enrolment } from './application/enrolment.js';
import type { MembersConfig } from './config.js';
import { DATABASE, MembersController } from './http/members.controller.js';

class MembersModule {}

/** All wiring of the service. */
export const membersModule = ({
  config,
  database,
  audit,
  bus,
  clock,
}: ServiceContext<MembersConfig>): DynamicModule => ({
  module: MembersModule,
  controllers: [MembersController, AuditController],
  providers: [
    { provide: Enrolment, useValue: new Enrolment({ database, audit, bus, clock, cardPrefix: config.cardPrefix }) },
    { provide: Audit, useValue: audit },
    { provide: DATABASE, useValue: database },
  ],
});
