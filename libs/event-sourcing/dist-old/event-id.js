import { hash } from 'node:crypto';
/**
 * The id of the nth event of a command, counted from 0: the first bears the command's own id, the others a uuid (version 8) that is the
 * beginning of SHA-256 over `<command id>/<n>`. The same command has the same ids however often it is run.
 */ export const eventIdOf = (commandId, n)=>{
    if (n === 0) return commandId;
    const hex = hash('sha256', `${commandId}/${n}`, 'hex');
    const variant = (Number.parseInt(hex.slice(16, 17), 16) & 0x3 | 0x8).toString(16);
    return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-8${hex.slice(13, 16)}-${variant}${hex.slice(17, 20)}-${hex.slice(20, 32)}`;
};

//# sourceMappingURL=event-id.js.map
