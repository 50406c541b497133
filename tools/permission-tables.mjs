import { AUDIT_ACTIONS, PERMISSIONS, ROLES } from '@vafa/service';

const METHODS = ['get', 'post', 'put', 'patch', 'delete'];

/** The permission matrix as Markdown: which role has which permission, and which operation needs it, from the APIs' own descriptions. */
export function permissionTables(documents) {
  const operations = documents
    .flatMap(({ paths }) => Object.entries(paths))
    .flatMap(([path, item]) =>
      METHODS.filter((method) => method in item).map((method) => ({ path, method, ...item[method] })),
    )
    .sort((one, other) =>
      one.path < other.path
        ? -1
        : one.path > other.path
          ? 1
          : METHODS.indexOf(one.method) - METHODS.indexOf(other.method),
    );
  const used = Object.entries(PERMISSIONS).filter(([name]) => operations.some((one) => one['x-permission'] === name));
  const roles = table(
    ['', ...ROLES],
    used.map(([name, holders]) => [`\`${name}\``, ...ROLES.map((role) => (holders.includes(role) ? '✓' : ''))]),
  );
  const needs = table(
    ['operation', 'permission', 'what for'],
    operations.map(({ path, method, summary, 'x-permission': permission }) => [
      `\`${method.toUpperCase()} ${path}\``,
      permission === undefined ? 'none' : `\`${permission}\``,
      summary ?? '',
    ]),
  );
  return `${roles}\n\n${needs}`;
}

/** What is recorded in the audit, as Markdown. */
export const actTable = () =>
  table(
    ['action', 'what'],
    Object.entries(AUDIT_ACTIONS).map(([action, what]) => [`\`${action}\``, what]),
  );

const table = (head, rows) =>
  [head, head.map(() => '---'), ...rows].map((cells) => `| ${cells.join(' | ')} |`).join('\n');
