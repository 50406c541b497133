import { text, type Command, type CommandInput, type ExitCode } from '../command.js';
import type { Api } from '../installation/api.js';
import { formatNumber } from '../io/progress.js';
import type { Counts } from './counts.js';
import { directMemberMap } from './direct-map.js';
import { draftMemberMap } from './init-map.js';
import { parseMemberMap } from './map.js';
import { sendMembers, type Enrolment } from './member-sender.js';
import { prepareCsvMembers, prepareNdjsonMembers } from './prepare-members.js';
import type { PreparedFile } from './prepared.js';
import { readHeader } from './rows.js';
import { putAside, type ImportPlan, type RowInFlight } from './run.js';
import { IMPORT_NOTES, IMPORT_OPTIONS, runImport, withFile, type MapText } from './session.js';
import { guessFormat, type SourceFile } from './source-file.js';

const ROWS_PER_BATCH = 500;

const handlers = (api: Api): Pick<ImportPlan, 'prepare' | 'send'> => ({
  prepare: null,
  send: async (rows: readonly RowInFlight[]) => {
    const outcomes = await sendMembers(
      api,
      rows.map((row) => JSON.parse(row.json) as Enrolment),
    );
    rows.forEach((row, index) => {
      const outcome = outcomes[index];
      if (outcome === undefined) throw new Error('An enrolment was left without an outcome.');
      const { counts } = row.segment;
      if (outcome.status === 'enrolled') counts.membersEnrolled += 1;
      else if (outcome.status === 'known') counts.membersKnown += 1;
      else {
        counts.rejected += 1;
        putAside(row, 'rejected', outcome.reason, outcome.pointer);
      }
    });
  },
});

const summary = (counts: Counts): string[] => [
  `  ${formatNumber(counts.membersEnrolled)} members enrolled, ${formatNumber(counts.membersKnown)} were members before`,
];

const prepare = (
  file: SourceFile,
  map: MapText | null,
  source: string | null,
): { prepared: PreparedFile; source: string | null } => {
  const given = map === null ? null : parseMemberMap(map.source, map.name);
  const format = given?.format ?? guessFormat(file.head);
  if (format === 'ndjson') {
    const chosen = source ?? given?.source ?? null;
    return { prepared: prepareNdjsonMembers(file, given, chosen), source: chosen };
  }
  const layout = readHeader(file, given?.encoding ?? 'utf-8', given?.delimiter ?? null);
  const used = given ?? directMemberMap(file.name, layout.columns);
  const chosen = source ?? used.source;
  return { prepared: prepareCsvMembers(file, layout, used, chosen), source: chosen };
};

const run = (input: CommandInput): Promise<ExitCode> =>
  withFile(input, draftMemberMap, (file, map) => {
    const { prepared, source } = prepare(file, map, text(input.options, 'source') ?? null);
    return runImport(
      input,
      {
        unit: 'members',
        rowsPerBatch: ROWS_PER_BATCH,
        identity: [map?.source ?? null, source],
        summary,
        note: (counts) => `${formatNumber(counts.membersEnrolled)} enrolled`,
        handlers,
      },
      file,
      prepared,
    );
  });

export const importMembers: Command = {
  name: 'import members',
  summary: 'Enrols the customers of a file; waiting purchases of theirs are taken up.',
  usage: 'FILE',
  options: {
    ...IMPORT_OPTIONS,
    source: { type: 'string', value: 'TEXT', description: 'Where members were enrolled that do not say it.' },
  },
  notes: [
    ...IMPORT_NOTES,
    'A line of NDJSON is {"externalId", "enrolledAt"?, "source"?, "card"?: "issue"}; a CSV needs a column externalId, or a map.',
  ],
  positionals: { min: 1, max: 1 },
  run,
};
