import { readFileSync } from 'node:fs';

/** Whether a process runs. One that has ended and that nobody has asked about yet, as some first processes never do, does not. */
export const lives = (pid: number): boolean => {
  try {
    process.kill(pid, 0);
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
  try {
    // The state stands behind the name, which is in brackets and may hold anything.
    return !/\) Z [^)]*$/.test(readFileSync(`/proc/${pid}/stat`, 'utf8'));
  } catch {
    // No /proc here, or gone by now: the next look tells.
    return true;
  }
};
