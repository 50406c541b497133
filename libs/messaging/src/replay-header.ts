import { createHmac, timingSafeEqual } from 'node:crypto';

/** The header of a message that comes again out of the dead letters, for one group only. */
export const REPLAY_HEADER = 'vafa-replay';

export type Replay = {
  readonly group: string;
  readonly letterId: string;
  /** Copies of an earlier round of the same key are void. 0 where no key is parked. */
  readonly round: number;
};

const SIGNATURE_BYTES = 16;
const FORM = /^([A-Za-z0-9._-]{1,200}) ([0-9a-f-]{36}) (\d{1,10}) ([0-9a-f]{32})$/;

/** The header's value. It is signed, since whoever may publish could otherwise hide a message from every group but one. */
export const writeReplay = ({ group, letterId, round }: Replay, key: Buffer): string => {
  const text = `${group} ${letterId} ${round}`;
  return `${text} ${sign(text, key).toString('hex')}`;
};

/** What the header says; undefined where there is none, or one that is not ours. */
export const readReplay = (headers: Readonly<Record<string, string>>, key: Buffer): Replay | undefined => {
  const value = headers[REPLAY_HEADER];
  if (value === undefined) return undefined;
  const [, group, letterId, round, signature] = FORM.exec(value) ?? [];
  if (group === undefined || letterId === undefined || round === undefined || signature === undefined) return undefined;
  const expected = sign(`${group} ${letterId} ${round}`, key);
  if (!timingSafeEqual(expected, Buffer.from(signature, 'hex'))) return undefined;
  return { group, letterId, round: Number(round) };
};

const sign = (text: string, key: Buffer): Buffer =>
  createHmac('sha256', key).update(`${REPLAY_HEADER} ${text}`).digest().subarray(0, SIGNATURE_BYTES);
