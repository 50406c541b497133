import { createCipheriv, createDecipheriv, randomBytes } from 'node:crypto';

import type { LetterContent } from '../dead-letters.js';

export const CONTENT_KEY_BYTES = 32;
const VERSION = 1;
const NONCE_BYTES = 12;
const TAG_BYTES = 16;
const HEAD_BYTES = 1 + NONCE_BYTES + TAG_BYTES;

/** AES-256-GCM, bound to the letter's id: version, nonce, tag, and then the length of the headers, the headers as JSON, the bytes. */
export const sealContent = (content: LetterContent, letterId: string, key: Buffer): Buffer => {
  const headers = Buffer.from(JSON.stringify(content.headers));
  const length = Buffer.alloc(4);
  length.writeUInt32BE(headers.length);
  const nonce = randomBytes(NONCE_BYTES);
  const cipher = createCipheriv('aes-256-gcm', key, nonce).setAAD(Buffer.from(letterId));
  const sealed = Buffer.concat([cipher.update(Buffer.concat([length, headers, content.value])), cipher.final()]);
  return Buffer.concat([Buffer.of(VERSION), nonce, cipher.getAuthTag(), sealed]);
};

/** @throws where the key is another one, or the content was changed or belongs to another letter. */
export const openContent = (sealed: Buffer, letterId: string, key: Buffer): LetterContent => {
  if (sealed[0] !== VERSION || sealed.length < HEAD_BYTES) throw new Error(`dead letter ${letterId}: unknown form`);
  const decipher = createDecipheriv('aes-256-gcm', key, sealed.subarray(1, 1 + NONCE_BYTES))
    .setAAD(Buffer.from(letterId))
    .setAuthTag(sealed.subarray(1 + NONCE_BYTES, HEAD_BYTES));
  const plain = Buffer.concat([decipher.update(sealed.subarray(HEAD_BYTES)), decipher.final()]);
  const length = plain.readUInt32BE(0);
  const headers = JSON.parse(plain.subarray(4, 4 + length).toString()) as Record<string, string>;
  return { headers, value: plain.subarray(4 + length) };
};
