import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { ROOT, Sentence } from './root.mjs';

/** The major version that everything but this bootstrap runs on. */
export const NODE_WANTED = 26;

/** The Node that npm brought, else the installed one where it is new enough. */
export function findNode(root = ROOT) {
  const brought = join(root, 'node_modules', 'node', 'bin', process.platform === 'win32' ? 'node.exe' : 'node');
  if (existsSync(brought)) return brought;
  if (Number(process.versions.node.split('.')[0]) >= NODE_WANTED) return process.execPath;
  return undefined;
}

/** Run once after an installation: the binary may be missing, or made for another system. */
export function checkNode(root = ROOT) {
  const node = findNode(root);
  if (node === undefined)
    throw new Sentence(
      `Node ${NODE_WANTED} did not come with the packages, since npm ran no install scripts here: run ` +
        '"npm rebuild node --ignore-scripts=false", or install Node 26 yourself, then run the same command again.',
    );
  const tried = spawnSync(node, ['--version'], { encoding: 'utf8' });
  if (tried.status === 0) return node;
  throw new Sentence(
    `The Node ${NODE_WANTED} that came with the packages does not run on this system ` +
      `(${(tried.stderr || String(tried.error?.message ?? tried.signal)).trim().split('\n')[0]}): ` +
      'install Node 26 for this system yourself, delete node_modules/node and run the same command again.',
  );
}
