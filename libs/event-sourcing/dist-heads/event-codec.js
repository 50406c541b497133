/** An event that this program does not know: it is newer, or the log is not ours. Whoever meets it stops; nothing is skipped. */ export class UnknownEventError extends Error {
    constructor(event, what){
        super(`event ${event.type} at revision ${event.revision} of ${event.streamId}: ${what}. ` + 'A newer version of the program has written here: run that one.'), this.name = 'UnknownEventError';
    }
}
/** Between the domain's events and the store's text. */ export class EventCodec {
    /** @throws where a form lacks an upcaster for one of its earlier versions. */ constructor(forms){
        this.forms = new Map(Object.entries(forms));
        for (const [type, { version, upcasters }] of this.forms)for(let from = 1; from < version; from++)if (upcasters?.[from] === undefined) throw new Error(`${type} has no upcaster from version ${from}`);
    }
    /** The stored form. @throws for a type that the codec does not know, which is a bug. */ encode(event, id, metadata = {}) {
        const form = this.forms.get(event.type);
        if (form === undefined) throw new Error(`no stored form for ${event.type}`);
        const { type, data } = event;
        return {
            id,
            type,
            data: JSON.stringify(data),
            metadata: JSON.stringify({
                schema: form.version,
                ...metadata
            })
        };
    }
    /** Today's form. @throws UnknownEventError for a type or a version that is not known. */ decode(stored) {
        const form = this.forms.get(stored.type);
        if (form === undefined) throw new UnknownEventError(stored, 'unknown type');
        const metadata = JSON.parse(stored.metadata);
        const { schema } = metadata;
        if (!Number.isInteger(schema) || schema < 1 || schema > form.version) throw new UnknownEventError(stored, `unknown version ${JSON.stringify(schema)}`);
        let data = JSON.parse(stored.data);
        for(let from = schema; from < form.version; from++)data = form.upcasters?.[from]?.(data) ?? data;
        const { id, streamId, revision, position, recordedAt } = stored;
        return {
            id,
            streamId,
            revision,
            position,
            recordedAt,
            metadata,
            event: {
                type: stored.type,
                data
            }
        };
    }
}

//# sourceMappingURL=event-codec.js.map
