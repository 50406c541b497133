import { EXTERNAL_ID_LENGTH_MAX } from './limits.js';

/** A member as topics name them: never by a phone number or an e-mail address, which are personal data. */
export type MemberReference =
  | { readonly kind: 'member'; readonly id: string }
  | { readonly kind: 'card'; readonly number: string }
  | { readonly kind: 'external'; readonly id: string };

/** What only bodies of HTTP requests may use; resolved at the door. */
export type ContactReference =
  { readonly kind: 'phone'; readonly number: string } | { readonly kind: 'email'; readonly address: string };

const UUID = '[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}';
const EXTERNAL = `[^\\p{Cc}\\p{Cs}\\p{Z}](?:[^\\p{Cc}\\p{Cs}]{0,${EXTERNAL_ID_LENGTH_MAX - 2}}[^\\p{Cc}\\p{Cs}\\p{Z}])?`;
const ON_TOPICS = `member:${UUID}|card:[0-9]{8,19}|external:${EXTERNAL}`;

/** Regular expressions (with the flag `u`) of the reference grammar, as the schemas publish them. */
export const MEMBER_REFERENCE_PATTERN = `^(?:${ON_TOPICS})$`;
export const HTTP_MEMBER_REFERENCE_PATTERN = `^(?:${ON_TOPICS}|phone:\\+[1-9][0-9]{6,14}|email:[^\\s@\\p{Cc}\\p{Cs}]{1,64}@[^\\s@\\p{Cc}\\p{Cs}]{1,189})$`;
export const EXTERNAL_ID_PATTERN = `^${EXTERNAL}$`;

const memberReference = new RegExp(MEMBER_REFERENCE_PATTERN, 'u');
const httpReference = new RegExp(HTTP_MEMBER_REFERENCE_PATTERN, 'u');
const externalId = new RegExp(EXTERNAL_ID_PATTERN, 'u');
const uuid = new RegExp(`^${UUID}$`, 'u');

/** Reads `member:<uuid>`, `card:<8 to 19 digits>` or `external:<opaque id>`; `undefined` for anything else. A uuid comes back in lower case. */
export function parseMemberReference(text: string): MemberReference | undefined {
  if (!memberReference.test(text)) return undefined;
  const value = text.slice(text.indexOf(':') + 1);
  if (text.startsWith('member:')) return { kind: 'member', id: value.toLowerCase() };
  return text.startsWith('card:') ? { kind: 'card', number: value } : { kind: 'external', id: value };
}

/** Reads what a body over HTTP may name a member by: the references of topics, `phone:<E.164>` and `email:<address>`. */
export function parseHttpReference(text: string): MemberReference | ContactReference | undefined {
  const onTopics = parseMemberReference(text);
  if (onTopics !== undefined || !httpReference.test(text)) return onTopics;
  const value = text.slice(text.indexOf(':') + 1);
  return text.startsWith('phone:') ? { kind: 'phone', number: value } : { kind: 'email', address: value };
}

/** Reads the `{ref}` of a path such as `/v1/members/{ref}`: a bare member id, or a reference as topics know it. */
export function parsePathReference(text: string): MemberReference | undefined {
  return isUuid(text) ? { kind: 'member', id: text.toLowerCase() } : parseMemberReference(text);
}

/** The one way to write a reference; equal members by equal references have equal text. */
export function formatReference(reference: MemberReference): string {
  return `${reference.kind}:${reference.kind === 'card' ? reference.number : reference.id}`;
}

/** The canonical text of a reference as it came, or `undefined` where it is none. */
export function canonicalReference(text: string): string | undefined {
  if (text.startsWith('member:')) return memberReference.test(text) ? text.toLowerCase() : undefined;
  return memberReference.test(text) ? text : undefined;
}

/** Is this a uuid of any version, in the form of RFC 9562? */
export const isUuid = (text: string): boolean => text.length === 36 && uuid.test(text);

/** May this be a shop's own id of a member: 1 to 120 characters, no control characters, no blank at either end. */
export const isExternalId = (text: string): boolean => externalId.test(text);
