/** An event with its envelope, as it travels: UTF-8 bytes of JSON. */
export const EVENT_BYTES_MAX = 256 * 1024;
/** Lines of one purchase, and of one return. */
export const LINES_MAX = 500;
/** Events of one batch request over HTTP. */
export const BATCH_EVENTS_MAX = 1_000;
/** Names in the flat map `attributes`. */
export const ATTRIBUTES_MAX = 50;
/** Errors told of one event; what is wrong beyond them is found at the next attempt. */
export const ERRORS_MAX = 50;
/** Attributes of an envelope, extensions included. */
export const ENVELOPE_PROPERTIES_MAX = 32;
/** Characters (code points) of an event's id. */
export const EVENT_ID_LENGTH_MAX = 256;
/** Characters of an event's source. */
export const SOURCE_LENGTH_MAX = 256;
/** Characters of a purchase's, return's, activity's or redemption's id. */
export const NATURAL_ID_LENGTH_MAX = 128;
/** Characters of a line's id. */
export const LINE_ID_LENGTH_MAX = 64;
/** Characters of a shop's own id of a member. A reference stays below the bus's limit of a key, whatever the script. */
export const EXTERNAL_ID_LENGTH_MAX = 120;
/** Levels of nesting in an event; the deepest that a schema asks for is 5. */
export const DEPTH_MAX = 16;
