import { Check, Column, Entity, Index, PrimaryColumn, type ValueTransformer } from 'typeorm';
import type { MemberStatus } from '../domain/enrolment.js';

/** The driver speaks `Date`, which goes no further than this. Both count milliseconds. */
const instants: ValueTransformer = {
  from: (stored: Date) => Temporal.Instant.fromEpochMilliseconds(stored.getTime()),
  to: (value: Temporal.Instant) => new Date(value.epochMilliseconds),
};

/** A member: who, not how many points. */
@Entity({ name: 'members', schema: 'members' })
@Check('members_status', `status in ('active')`)
export class Member {
  @PrimaryColumn({ name: 'member_id', type: 'uuid', primaryKeyConstraintName: 'members_pkey' })
  memberId!: string;

  @Index('members_external_id', { unique: true })
  @Column({ name: 'external_id', type: 'text', collation: 'C', nullable: true })
  externalId!: string | null;

  @Index('members_card', { unique: true })
  @Column({ name: 'card', type: 'text', collation: 'C', nullable: true })
  card!: string | null;

  @Column({ name: 'enrolled_at', type: 'timestamptz', precision: 3, transformer: instants })
  enrolledAt!: Temporal.Instant;

  @Column({ name: 'source', type: 'text', nullable: true })
  source!: string | null;

  @Column({ name: 'status', type: 'text' })
  status!: MemberStatus;
}
